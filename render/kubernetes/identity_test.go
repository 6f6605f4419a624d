package kubernetes

import (
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/manifest/manifesttest"
)

// TestOneIdentity: the certificate's name, the Secret that the pods mount, their
// service account, and the identity that callers and callees check are one.
func TestOneIdentity(t *testing.T) {
	m := manifesttest.Mesh(t)
	for _, scope := range m.Scopes() {
		member := scope.Member()
		if scope.Service != nil && !scope.Service.Workload.InCluster() {
			continue
		}
		t.Run(member.Name, func(t *testing.T) {
			files, err := Member(scope, Proxy{Bootstrap: []byte(bootstrap), Secrets: secretFiles})
			if err != nil {
				t.Fatal(err)
			}
			requested, err := certificates.Member(scope)
			if err != nil {
				t.Fatal(err)
			}
			certificate := objects(t, []manifest.File{requested})[0].(*certmanager.Certificate)
			pod, account := podAndAccount(t, files)
			want := "spiffe://" + m.TrustDomain + "/ns/" + certificate.Namespace + "/sa/" + account.Name
			if len(certificate.Spec.URIs) != 1 || certificate.Spec.URIs[0] != want || member.Identity.String() != want {
				t.Errorf("the certificate names %v, the account makes %s, the mesh says %s", certificate.Spec.URIs,
					want, member.Identity)
			}
			if len(certificate.Spec.DNSNames)+len(certificate.Spec.IPAddresses)+len(certificate.Spec.CommonName) > 0 {
				t.Errorf("the certificate has other names: %+v", certificate.Spec)
			}
			if pod.ServiceAccountName != account.Name || account.Namespace != certificate.Namespace {
				t.Errorf("pods run as %q, the account is %s/%s", pod.ServiceAccountName, account.Namespace,
					account.Name)
			}
			if directory := mountOf(pod, certificate.Spec.SecretName); directory != member.Proxy.CertificateDirectory {
				t.Errorf("the Secret %s is mounted at %q and Envoy reads %q", certificate.Spec.SecretName, directory,
					member.Proxy.CertificateDirectory)
			}
			for _, other := range m.Scopes() {
				config := configuration(t, other)
				if uses(other, member.Name) && !strings.Contains(config, `"exact":"`+want+`"`) {
					t.Errorf("%s calls it and does not check %s", other.Member().Name, want)
				}
				if scope.Service != nil && other.Service != nil && allows(other.Service, member.Name) &&
					!strings.Contains(config, `"exact":"`+want+`"`) {
					t.Errorf("%s lets it in and does not know %s", other.Member().Name, want)
				}
			}
		})
	}
}

func podAndAccount(t *testing.T, files []manifest.File) (pod corev1.PodSpec, account corev1.ServiceAccount) {
	t.Helper()
	for _, o := range objects(t, files) {
		switch o := o.(type) {
		case *appsv1.Deployment:
			pod = o.Spec.Template.Spec
		case *corev1.ServiceAccount:
			account = *o
		}
	}
	return pod, account
}

// mountOf is where the proxy sees a Secret.
func mountOf(pod corev1.PodSpec, secret string) string {
	for _, v := range pod.Volumes {
		mounted := v.Secret != nil && v.Secret.SecretName == secret
		if v.Projected != nil {
			source := v.Projected.Sources[0].Secret
			mounted = source != nil && source.Name == secret
		}
		if !mounted {
			continue
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			for _, mount := range c.VolumeMounts {
				if mount.Name == v.Name && mount.ReadOnly {
					return mount.MountPath
				}
			}
		}
	}
	return ""
}

// configuration is all that a member's proxy gets, as compact JSON.
func configuration(t *testing.T, scope ir.Scope) string {
	t.Helper()
	boot, err := envoy.Bootstrap(scope, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := envoy.Build(scope, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if boot, err = envoy.Inline(boot, r, nil); err != nil {
		t.Fatal(err)
	}
	data, err := protojson.Marshal(boot)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), `": "`, `":"`) // protojson's white space is not stable
}

func uses(scope ir.Scope, name string) bool {
	for _, use := range scope.Member().Uses {
		if use.To == name {
			return true
		}
	}
	return false
}

func allows(s *ir.Service, name string) bool {
	for _, rule := range s.Allow {
		for _, peer := range rule.From {
			if peer.Name == name {
				return true
			}
		}
	}
	return false
}

// TestServerIdentity: the control plane's certificate and account make the
// identity that every proxy demands of it.
func TestServerIdentity(t *testing.T) {
	m := manifesttest.Mesh(t)
	files := render(t, m)
	certificate := objects(t, only(files, "certificates/bazaar-system/meshc.yaml"))[0].(*certmanager.Certificate)
	pod, account := podAndAccount(t, only(files, "kubernetes/bazaar-system/server.yaml"))
	want := "spiffe://bazaar.example/ns/" + account.Namespace + "/sa/" + account.Name
	if certificate.Spec.URIs[0] != want || pod.ServiceAccountName != account.Name ||
		certificate.Namespace != account.Namespace {
		t.Errorf("the certificate names %v, the account makes %s, pods run as %s", certificate.Spec.URIs, want,
			pod.ServiceAccountName)
	}
	if mountOf(pod, certificate.Spec.SecretName) != certificates.ServerDirectory {
		t.Errorf("the Secret %s is not mounted", certificate.Spec.SecretName)
	}
	for _, scope := range m.Scopes() {
		if !strings.Contains(configuration(t, scope), `"exact":"`+want+`"`) {
			t.Errorf("%s does not check %s", scope.Member().Name, want)
		}
	}
}
