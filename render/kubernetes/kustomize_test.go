package kubernetes

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/manifest/manifesttest"
)

// build is what "kubectl kustomize" makes of a directory.
func build(t *testing.T, files []manifest.File, dir string) []map[string]any {
	t.Helper()
	disk := filesys.MakeFsInMemory()
	for _, f := range files {
		if err := disk.WriteFile("/out/"+f.Path, f.Data); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	var objects []map[string]any
	for _, r := range built.Resources() {
		object, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

func nameOf(object map[string]any) string {
	meta := object["metadata"].(map[string]any)
	namespace, _ := meta["namespace"].(string)
	return object["kind"].(string) + " " + namespace + "/" + meta["name"].(string)
}

func TestKustomizeBuildsWhatIsApplied(t *testing.T) {
	for name, tags := range map[string][]string{"xds": nil, "static": {"delivery=static"}, "file": {"issuer=file"}} {
		t.Run(name, func(t *testing.T) {
			m := manifesttest.Mesh(t, tags...)
			files := render(t, m)
			var got, want []string
			for _, object := range build(t, files, "/out") {
				got = append(got, nameOf(object))
			}
			for _, path := range Applied(m) {
				found := only(files, path)
				if found == nil {
					t.Fatalf("there is no %s", path)
				}
				for _, document := range manifesttest.Documents(t, found[0]) {
					var object map[string]any
					if err := yaml.Unmarshal(document, &object); err != nil {
						t.Fatal(err)
					}
					want = append(want, nameOf(object))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("kustomize builds\n%s\nand applied is\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if len(want) < 30 {
				t.Errorf("only %d objects", len(want))
			}
		})
	}
}

// TestEveryObjectIsApplied: no file is forgotten but those that are not objects of
// a cluster.
func TestEveryObjectIsApplied(t *testing.T) {
	for _, tags := range [][]string{nil, {"delivery=static", "issuer=Issuer"}, {"issuer=embedded"}} {
		m := manifesttest.Mesh(t, tags...)
		applied := Applied(m)
		for _, f := range render(t, m) {
			kind := manifesttest.Kind(t, manifesttest.Documents(t, f)[0])
			wanted := !strings.HasPrefix(kind, "kustomize.config.k8s.io/") &&
				kind != "meshc.dev/v1 CertificateParameters" && !strings.Contains(f.Path, "/sidecar/")
			if slices.Contains(applied, f.Path) != wanted {
				t.Errorf("%v: %s, a %s, is applied: %t", tags, f.Path, kind, !wanted)
			}
		}
	}
}

const teamsKustomization = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: stalls
resources: [fruit.yaml]
components: [../out/kubernetes/stalls/sidecar]
`

const teamsDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: fruit-app}
spec:
  selector: {matchLabels: {app: fruit}}
  template:
    metadata: {labels: {app: fruit, version: v1}, annotations: {team: fruit}}
    spec:
      initContainers: [{name: migrate, image: fruit/migrate}]
      containers: [{name: app, image: fruit/app, volumeMounts: [{name: data, mountPath: /data}]}]
      volumes: [{name: data, emptyDir: {}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: fruit-app-jobs}
spec:
  selector: {matchLabels: {app: jobs}}
  template:
    metadata: {labels: {app: jobs}}
    spec: {containers: [{name: app, image: fruit/app}]}
`

func TestComponentAddsTheSidecar(t *testing.T) {
	m := manifesttest.Mesh(t)
	files := append(render(t, m),
		manifest.File{Path: "../team/kustomization.yaml", Data: []byte(teamsKustomization)},
		manifest.File{Path: "../team/fruit.yaml", Data: []byte(teamsDeployment)})
	objects := build(t, files, "/team")
	if len(objects) != 2 {
		t.Fatalf("%d objects", len(objects))
	}
	deployments := map[string]appsv1.Deployment{}
	for _, object := range objects {
		data, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		d := manifesttest.Decode(t, data, &appsv1.Deployment{}).(*appsv1.Deployment)
		deployments[d.Name] = *d
	}
	if other := deployments["fruit-app-jobs"].Spec.Template; len(other.Spec.InitContainers) > 0 ||
		len(other.Labels) != 1 {
		t.Errorf("the component changed another Deployment: %v", other)
	}
	pod := deployments["fruit-app"].Spec.Template
	if got := containerNames(pod.Spec.InitContainers); !slices.Equal(got, []string{
		"mesh-redirect", "mesh-proxy",
		"migrate",
	}) {
		t.Errorf("init containers are %v", got)
	}
	if got := containerNames(pod.Spec.Containers); !slices.Equal(got, []string{"app"}) {
		t.Errorf("containers are %v", got)
	}
	if len(pod.Spec.Volumes) != 3 || len(pod.Annotations) != 2 || len(pod.Labels) != 3 ||
		pod.Labels["meshc.dev/service"] != "fruit" {
		t.Errorf("pod has volumes %v, annotations %v, labels %v", pod.Spec.Volumes, pod.Annotations, pod.Labels)
	}
	proxy := pod.Spec.InitContainers[1]
	if proxy.RestartPolicy == nil || *proxy.RestartPolicy != corev1.ContainerRestartPolicyAlways ||
		proxy.StartupProbe == nil {
		t.Errorf("the proxy is no native sidecar: %+v", proxy)
	}
	if pod.Spec.ServiceAccountName != "fruit-seller" {
		t.Errorf("service account is %q", pod.Spec.ServiceAccountName)
	}
}

func containerNames(containers []corev1.Container) []string {
	var names []string
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names
}
