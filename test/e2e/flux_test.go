//go:build e2e

package e2e

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
)

// settled waits until every Kustomization has applied the commit and is Ready.
func settled(t *testing.T, commit string) {
	t.Helper()
	eventually(t, 6*time.Minute, func() string {
		var list kustomize.KustomizationList
		get(t, &list, "kustomizations", "-n", "flux-system")
		var wrong []string
		for _, k := range list.Items {
			ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
			if !strings.HasSuffix(k.Status.LastAppliedRevision, commit) || ready == nil || ready.Status != "True" ||
				ready.ObservedGeneration != k.Generation {
				said := "nothing yet"
				if ready != nil {
					said = ready.Message
				}
				wrong = append(wrong, fmt.Sprintf("%s is at %s: %s", k.Name, k.Status.LastAppliedRevision, said))
			}
		}
		if len(list.Items) < 6 {
			wrong = append(wrong, fmt.Sprintf("%d Kustomizations", len(list.Items)))
		}
		return strings.Join(wrong, "\n")
	})
}

// uninstall takes everything out again, as Flux prunes it.
func uninstall(t *testing.T) {
	for _, args := range [][]string{
		{"delete", "-n", "flux-system", "kustomizations", "--all", "--timeout=2m"},
		{"delete", "-n", "flux-system", "gitrepositories", "--all", "--timeout=1m"},
		{"delete", "namespace", "shop", "shop-system", "--ignore-not-found", "--timeout=2m"},
	} {
		// The test's context is over.
		if out, err := commandAfter("kubectl", args...); err != nil {
			t.Errorf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}

// sameObjects wants what Flux made of the output to be what kubectl makes of it.
func sameObjects(t *testing.T, r *repository) {
	for _, dir := range []string{"out", "team"} {
		if _, err := command(t, "", r.dir, "kubectl", "diff", "--server-side", "--force-conflicts", "-k",
			dir); err != nil {
			t.Errorf("it is not the same: %v", err)
		}
	}
}

// shifted pushes a change of a route, under load.
func shifted(t *testing.T, r *repository, s *shop) {
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place"))
	versions := func(from int) map[string]int {
		out := map[string]int{}
		for _, report := range l.since(from) {
			out[report.Calls[0].Report.Version]++
		}
		return out
	}
	eventually(t, time.Minute, func() string {
		if l.count() < 3*rate || versions(0)["v2"] > 0 {
			return fmt.Sprint(versions(0))
		}
		return ""
	})
	r.edit(t, "mesh/checkout/service.cue", `to: [{version: "v1"}]`,
		`to: [{version: "v1", weight: 50}, {version: "v2", weight: 50}]`)
	r.compile(t)
	commit := r.push(t, "Half of the orders go to v2")
	began := time.Now()
	settled(t, commit)
	t.Logf("every proxy has it after %v", time.Since(began).Round(100*time.Millisecond))
	from := l.count()
	eventually(t, time.Minute, func() string {
		if l.count()-from < 10*rate {
			return "too few requests"
		}
		return ""
	})
	if v := versions(from); v["v1"] < 4*rate || v["v2"] < 4*rate {
		t.Errorf("after Ready: %v", v)
	}
	l.end(t, 20*rate)
}

// broken pushes a mesh that serve cannot take: nothing changes, and Flux shows why.
func broken(t *testing.T, r *repository, s *shop) {
	before := r.git(t, r.dir, "rev-parse", "HEAD")
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place,cart"))
	// A mesh that this server cannot read, as of a compiler that is newer.
	r.edit(t, "out/kubernetes/shop-system/mesh.yaml", "binaryData:\n  mesh.json.gz.000: ",
		"binaryData:\n  mesh.json.gz.000: AAAA")
	r.edit(t, "out/kubernetes/shop-system/mesh.yaml", "data:\n  mesh: ", "data:\n  mesh: another-")
	r.push(t, "Break it")
	eventually(t, 2*time.Minute, func() string {
		var k kustomize.Kustomization
		get(t, &k, "kustomization", "shop-server", "-n", "flux-system")
		if ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition); ready == nil ||
			ready.Status != "False" || !strings.Contains(ready.Message, "mesh-rollout") {
			return fmt.Sprintf("%+v", ready)
		}
		if said := kubectl(t, "get", "configmap", "mesh-rollout", "-n", "shop-system", "-o",
			"jsonpath={.data}"); strings.Count(said, " invalid: the ConfigMaps of the mesh") != 2 {
			return said
		}
		return ""
	})
	l.end(t, 2*rate)
	r.git(t, r.dir, "revert", "--no-edit", "HEAD")
	settled(t, r.send(t))
	if r.git(t, r.dir, "diff", before) != "" {
		t.Error("the repository is not what it was")
	}
}

// renewed pushes a lifetime of two minutes, under load, and waits until every
// certificate has been renewed twice by then.
func renewed(t *testing.T, r *repository, s *shop) {
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place,cart"))
	r.tags = append(r.tags, "-t", "lifetime=2m", "-t", "renewBefore=80s")
	r.compile(t)
	settled(t, r.push(t, "Certificates of two minutes"))
	revisions := func() map[string]int {
		var list certmanager.CertificateList
		get(t, &list, "certificates", "-n", "shop")
		out := map[string]int{}
		for _, c := range list.Items {
			if c.Status.Revision != nil {
				out[c.Name] = *c.Status.Revision
			}
		}
		return out
	}
	before := revisions()
	eventually(t, 4*time.Minute, func() string {
		now := revisions()
		for name, revision := range before {
			if now[name] < revision+2 {
				return fmt.Sprintf("%s is at revision %d, and was at %d", name, now[name], revision)
			}
		}
		return ""
	})
	// Those that ended by now are not used any more.
	for _, name := range []string{"frontend", "cart"} {
		text, err := base64.StdEncoding.DecodeString(kubectl(t, "get", "secret", name+".certificate", "-n", "shop",
			"-o", `jsonpath={.data.tls\.crt}`))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(certificate.NotAfter); left > 2*time.Minute || left < 0 {
			t.Errorf("%s has a certificate for %v", name, left)
		}
	}
	l.end(t, 60*rate)
}

// removed pushes the removal of a service: all that was its is pruned, and nothing else.
func removed(t *testing.T, r *repository) {
	before := objects(t)
	r.edit(t, "mesh/jobs/service.cue", "	agent: {workload: daemonSet: \"agent\", uses: store: {}}\n", "")
	r.edit(t, "mesh/store/service.cue", `"agent", `, "")
	r.edit(t, "team/kustomization.yaml", ", agent.yaml", "")
	r.compile(t)
	settled(t, r.push(t, "Remove the agent"))
	var gone []string
	eventually(t, time.Minute, func() string {
		gone = nil
		after := objects(t)
		for name := range before {
			if !after[name] {
				gone = append(gone, name)
			}
		}
		for _, name := range []string{
			"configmap/agent.envoy", "networkpolicy.networking.k8s.io/agent.mesh", "service/agent",
			"serviceaccount/agent", "certificate.cert-manager.io/agent",
		} {
			if after[name] {
				return name + " is still there"
			}
		}
		return ""
	})
	for _, name := range gone {
		if !strings.HasSuffix(name, "/agent") && !strings.HasPrefix(name, "configmap/agent.") &&
			name != "networkpolicy.networking.k8s.io/agent.mesh" && !strings.HasPrefix(name, "secret/agent.") {
			t.Errorf("%s is gone too", name)
		}
	}
}

// objects are those of the mesh's namespaces that nobody's controller makes.
func objects(t *testing.T) map[string]bool {
	out := map[string]bool{}
	for _, namespace := range []string{"shop", "shop-system"} {
		kinds := "configmaps,services,serviceaccounts,deployments,statefulsets,daemonsets,networkpolicies,poddisruptionbudgets,roles,rolebindings,certificates,secrets,horizontalpodautoscalers"
		for _, name := range strings.Fields(kubectl(t, "get", kinds, "-n", namespace, "-o", "name")) {
			out[name] = true
		}
	}
	return out
}
