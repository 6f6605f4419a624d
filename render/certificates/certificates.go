// Package certificates renders what asks for each member's certificate, a SPIFFE
// X.509 SVID: the files tls.crt, tls.key and ca.crt of its certificate directory.
//
// Below the output directory:
//
//	certificates/kustomization.yaml      the Certificates
//	certificates/NAMESPACE/NAME.yaml     a Certificate of cert-manager, or for a
//	                                     member that has none the parameters that
//	                                     "meshc certs request" takes
//	certificates/MESH-system/meshc.yaml  the control plane's
//
// A private key is made where it is used, by cert-manager or on the host.
package certificates

import (
	"maps"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// Directory holds all certificates.
const Directory = "certificates"

func file(namespace, name string) string { return Directory + "/" + namespace + "/" + name + ".yaml" }

// subject is who is to be certified.
type subject struct {
	kind, name, namespace string
	identity              spiffeid.ID
	// directory is where its files belong.
	directory string
	// cluster is set when it runs in Kubernetes.
	cluster bool
}

func subjectOf(scope ir.Scope) subject {
	m := scope.Member()
	return subject{
		kind: string(m.Kind), name: m.PlainName(), namespace: m.Namespace, identity: m.Identity,
		directory: m.Proxy.CertificateDirectory,
		cluster:   scope.Gateway != nil || scope.Service.Workload.InCluster(),
	}
}

func serverSubject(s *ir.Settings) subject {
	return subject{
		kind: "server", name: ir.ServerName, namespace: s.SystemNamespace(), identity: s.ServerIdentity(),
		directory: ServerDirectory, cluster: true,
	}
}

// ServerDirectory has the files of the control plane's certificate.
const ServerDirectory = "/etc/meshc/certificates"

// Member asks for a member's certificate. It depends on nothing but the scope.
func Member(scope ir.Scope) (manifest.File, error) {
	return render(scope.Settings, subjectOf(scope))
}

func render(settings *ir.Settings, s subject) (manifest.File, error) {
	if s.cluster && certManager(settings) {
		return manifest.YAMLFile(file(s.namespace, s.name), manifest.Object(certificate(settings, s)))
	}
	return manifest.YAMLFile(file(s.namespace, s.name), newParameters(settings, s))
}

// Mesh asks for the control plane's certificate, unless that is the issuer, and
// lists the Certificates of all members for Kustomize.
func Mesh(m *ir.Mesh) ([]manifest.File, error) {
	var files []manifest.File
	if m.Delivery == ir.DeliveryXDS && m.Certificates.Issuer.Kind != ir.IssuerEmbedded {
		f, err := render(&m.Settings, serverSubject(&m.Settings))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	listed := Files(m)
	if len(listed) == 0 {
		return files, nil
	}
	f, err := manifest.Resources(Directory, listed)
	return append(files, f), err
}

// Applied reports whether some certificates are objects of the cluster, so that
// [Directory] has a kustomization.yaml.
func Applied(m *ir.Mesh) bool { return len(Files(m)) > 0 }

// Files are those with a Certificate, relative to [Directory], sorted.
func Files(m *ir.Mesh) []string {
	if !certManager(&m.Settings) {
		return nil
	}
	names := map[string]bool{}
	for _, s := range m.Services {
		if s.Workload.InCluster() {
			names[s.Namespace+"/"+s.PlainName()+".yaml"] = true
		}
	}
	for _, g := range m.Gateways {
		names[g.Namespace+"/"+g.PlainName()+".yaml"] = true
	}
	if len(names) > 0 && m.Delivery == ir.DeliveryXDS {
		names[m.SystemNamespace()+"/"+ir.ServerName+".yaml"] = true
	}
	return slices.Sorted(maps.Keys(names))
}
