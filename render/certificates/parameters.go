package certificates

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// The document of [Parameters]. It is meshc's own and no object of a cluster.
const (
	ParametersAPIVersion = "meshc.dev/v1"
	ParametersKind       = "CertificateParameters"
)

// Parameters say what certificate a member needs that cert-manager does not
// serve. "meshc certs request" makes the key and the request on its host.
type Parameters struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Member is whose certificate it is.
	Member struct {
		Kind      string `json:"kind"` // service, gateway or server
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"member"`
	// Identity is the certificate's only subject alternative name, a URI.
	Identity string `json:"identity"`
	// ServerIdentity is what "meshc certs request" demands of whom it asks.
	ServerIdentity string `json:"serverIdentity"`
	// Key is the kind of private key.
	Key ir.KeyKind `json:"key"`
	// Lifetime of the certificate, and how long before its end it is renewed.
	Lifetime    ir.Duration `json:"lifetime"`
	RenewBefore ir.Duration `json:"renewBefore"`
	// Directory on the proxy's host is for tls.crt, tls.key and ca.crt.
	Directory string `json:"directory,omitempty"`
	// Secret is for the same files when the member runs in Kubernetes.
	Secret string `json:"secret,omitempty"`
	// Issuer is who signs, of the mesh's issuers.
	Issuer ir.Issuer `json:"issuer"`
}

// ParametersOf are those of a member, as YAML.
func ParametersOf(scope ir.Scope) ([]byte, error) {
	return parametersYAML(scope.Settings, subjectOf(scope))
}

// ServerParameters are those of the control plane.
func ServerParameters(settings *ir.Settings) ([]byte, error) {
	return parametersYAML(settings, serverSubject(settings))
}

func parametersYAML(settings *ir.Settings, s subject) ([]byte, error) {
	f, err := manifest.YAMLFile(ParametersKind, newParameters(settings, s))
	return f.Data, err
}

func newParameters(settings *ir.Settings, s subject) Parameters {
	c := settings.Certificates
	p := Parameters{
		APIVersion: ParametersAPIVersion, Kind: ParametersKind, Identity: s.identity.String(),
		ServerIdentity: settings.ServerIdentity().String(),
		Key:            c.Key, Lifetime: c.Lifetime, RenewBefore: c.RenewBefore, Directory: s.directory,
		Issuer: c.Issuer,
	}
	p.Member.Kind, p.Member.Name, p.Member.Namespace = s.kind, s.name, s.namespace
	if s.cluster {
		p.Secret = ir.CertificateSecret(s.name)
	}
	return p
}
