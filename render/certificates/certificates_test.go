package certificates

import (
	"reflect"
	"slices"
	"testing"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/manifest/manifesttest"
)

var update = manifesttest.Update()

func renderAll(t *testing.T, m *ir.Mesh) []manifest.File {
	t.Helper()
	var files []manifest.File
	for _, scope := range m.Scopes() {
		f, err := Member(scope)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	rest, err := Mesh(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(files, rest...)
}

func TestGolden(t *testing.T) {
	for name, tags := range map[string][]string{
		"xds":    nil,
		"issuer": {"issuer=Issuer", "delivery=static"},
		"file":   {"issuer=file", "delivery=static"},
	} {
		t.Run(name, func(t *testing.T) {
			manifesttest.Golden(t, name, renderAll(t, manifesttest.Mesh(t, tags...)), update)
		})
	}
}

func TestEveryDocumentIsKnown(t *testing.T) {
	for _, tags := range [][]string{nil, {"issuer=embedded"}} {
		m := manifesttest.Mesh(t, tags...)
		for _, f := range renderAll(t, m) {
			for _, document := range manifesttest.Documents(t, f) {
				switch kind := manifesttest.Kind(t, document); kind {
				case "cert-manager.io/v1 Certificate":
					manifesttest.Decode(t, document, &certmanager.Certificate{})
				case "meshc.dev/v1 CertificateParameters":
					manifesttest.Decode(t, document, &Parameters{})
				case "kustomize.config.k8s.io/v1beta1 Kustomization":
					k := manifesttest.Decode(t, document, &manifest.Kustomization{}).(*manifest.Kustomization)
					if !slices.Equal(k.Resources, Files(m)) {
						t.Errorf("kustomization.yaml lists %v, and %v are Certificates", k.Resources, Files(m))
					}
				default:
					t.Errorf("%s has a %s", f.Path, kind)
				}
			}
		}
	}
}

// TestListsWhatIsACertificate: Kustomize is given every Certificate, and nothing
// that the cluster would not know.
func TestListsWhatIsACertificate(t *testing.T) {
	for _, tags := range [][]string{nil, {"issuer=Issuer", "delivery=static"}, {"issuer=file"}, {"issuer=embedded"}} {
		m := manifesttest.Mesh(t, tags...)
		var want []string
		for _, f := range renderAll(t, m) {
			if manifesttest.Kind(t, manifesttest.Documents(t, f)[0]) == "cert-manager.io/v1 Certificate" {
				want = append(want, f.Path[len(Directory)+1:])
			}
		}
		slices.Sort(want)
		if got := Files(m); !slices.Equal(got, want) || Applied(m) != (len(want) > 0) {
			t.Errorf("%v: listed are %v, rendered %v", tags, got, want)
		}
	}
}

// TestSettingsReachTheRequest: whatever the mesh says of certificates stands in
// both kinds of request.
func TestSettingsReachTheRequest(t *testing.T) {
	keys := map[ir.KeyKind]certmanager.CertificatePrivateKey{
		ir.KeyECDSAP256: {Algorithm: "ECDSA", Size: 256}, ir.KeyECDSAP384: {Algorithm: "ECDSA", Size: 384},
		ir.KeyRSA2048: {Algorithm: "RSA", Size: 2048}, ir.KeyRSA4096: {Algorithm: "RSA", Size: 4096},
		ir.KeyEd25519: {Algorithm: "Ed25519"},
	}
	m := manifesttest.Mesh(t)
	rapid.Check(t, func(t *rapid.T) {
		settings := m.Settings
		c := &settings.Certificates
		c.Key = rapid.SampledFrom([]ir.KeyKind{
			ir.KeyECDSAP256, ir.KeyECDSAP384, ir.KeyRSA2048, ir.KeyRSA4096,
			ir.KeyEd25519,
		}).Draw(t, "key")
		c.Lifetime = ir.Duration(rapid.Int64Range(1, 10_000).Draw(t, "lifetime")) * ir.Duration(time.Minute)
		c.RenewBefore = c.Lifetime / ir.Duration(rapid.Int64Range(2, 10).Draw(t, "renewal"))
		c.Issuer = ir.Issuer{Kind: rapid.SampledFrom([]ir.IssuerKind{ir.IssuerCluster, ir.IssuerNamespace}).
			Draw(t, "issuer"), Name: "ca"}
		name := rapid.StringMatching(`[a-z]([-a-z0-9]{0,61}[a-z0-9])?`).Draw(t, "name")
		s := subject{kind: "service", name: name, namespace: "ns", identity: m.Services[0].Identity, cluster: true}

		data, err := rendered(settings, s)
		if err != nil {
			t.Fatal(err)
		}
		var object certmanager.Certificate
		if err := yaml.UnmarshalStrict(data, &object); err != nil {
			t.Fatal(err)
		}
		key := keys[c.Key]
		key.RotationPolicy, key.Encoding = "Always", "PKCS8"
		want := certmanager.CertificateSpec{
			URIs: []string{s.identity.String()}, SecretName: name + ".certificate",
			Duration:    &metav1.Duration{Duration: time.Duration(c.Lifetime)},
			RenewBefore: &metav1.Duration{Duration: time.Duration(c.RenewBefore)},
			PrivateKey:  &key,
			Usages:      []certmanager.KeyUsage{"digital signature", "server auth", "client auth"},
		}
		want.IssuerRef.Group, want.IssuerRef.Kind, want.IssuerRef.Name = "cert-manager.io", string(c.Issuer.Kind), "ca"
		if !reflect.DeepEqual(object.Spec, want) {
			t.Fatalf("got %+v\nwant %+v", object.Spec, want)
		}

		c.Issuer = ir.Issuer{Kind: ir.IssuerFile}
		s.cluster, s.directory = false, "/srv/certificates"
		if data, err = rendered(settings, s); err != nil {
			t.Fatal(err)
		}
		var got Parameters
		if err := yaml.UnmarshalStrict(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.Identity != s.identity.String() || got.Key != c.Key || got.Lifetime != c.Lifetime ||
			got.RenewBefore != c.RenewBefore ||
			got.Directory != s.directory || got.Secret != "" || got.Issuer != c.Issuer || got.Member.Name != name ||
			got.Member.Kind != "service" {
			t.Fatalf("got %+v", got)
		}
	})
}

func rendered(settings ir.Settings, s subject) ([]byte, error) {
	f, err := render(&settings, s)
	return f.Data, err
}
