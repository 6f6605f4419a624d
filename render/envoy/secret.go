package envoy

import (
	"encoding/json"
	"path"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/render/manifest"
)

// The files of a certificate directory.
const (
	certificateFile = "tls.crt"
	keyFile         = "tls.key"
	trustFile       = "ca.crt"
)

// The files by which Envoy is told of a certificate directory: one resource each, as
// its file subscription wants it.
const (
	identityResource = "identity.yaml"
	trustResource    = "trust.yaml"
)

// secrets are whom the proxy trusts, where somebody sends it that. Its own
// certificate is told of by a file beside it, and its key is nobody's business.
func (b *builder) secrets() {
	if b.options.TrustBundle != nil {
		b.out.Secrets = append(b.out.Secrets, b.trust(secretTrust))
	}
	if b.trustsAll {
		b.out.Secrets = append(b.out.Secrets, b.trust(secretTrustOfAll, b.scope.Settings.TrustDomains...))
	}
}

// identityConfig is the proxy's own certificate, from its file. All that name it share
// one watch of it: Envoy needs an instance of inotify for each.
func (b *builder) identityConfig() *tlsv3.SdsSecretConfig {
	return fromFile(secretIdentity, b.member.Proxy.CertificateDirectory, identityResource)
}

// trustConfig is the secret of that name that has the trust bundle.
func (b *builder) trustConfig(name string) *tlsv3.SdsSecretConfig {
	if name == secretTrust && b.options.TrustBundle == nil {
		return fromFile(secretTrust, b.member.Proxy.CertificateDirectory, trustResource)
	}
	return secretConfig(name)
}

// fromFile has a secret come from a file of a directory, whose changes are taken.
func fromFile(name, dir, resource string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
			Path: path.Join(dir, resource), WatchedDirectory: &corev3.WatchedDirectory{Path: dir},
		}},
	}}
}

// SecretFiles are the files by which an Envoy knows of a certificate directory where
// somebody else keeps tls.crt, tls.key and ca.crt, and takes renewed ones (Envoy,
// "Secret discovery service", certificate rotation). They are to stand in it. Identities of the trust domain are
// believed.
func SecretFiles(dir, trustDomain string) (map[string][]byte, error) {
	watched := &corev3.WatchedDirectory{Path: dir}
	return secretFiles(trustDomain,
		&tlsv3.TlsCertificate{
			CertificateChain: file(path.Join(dir, certificateFile)), PrivateKey: file(path.Join(dir, keyFile)),
			WatchedDirectory: watched,
		},
		&tlsv3.CertificateValidationContext{TrustedCa: file(path.Join(dir, trustFile)), WatchedDirectory: watched},
	)
}

// HeldSecretFiles are such files that hold all of it themselves, in PEM, for who
// writes them anew with each certificate. They hold the key: nobody else may read
// them. Identities of the trust domain are believed.
func HeldSecretFiles(trustDomain string, chain, key, bundle []byte) (map[string][]byte, error) {
	return secretFiles(trustDomain,
		&tlsv3.TlsCertificate{CertificateChain: inline(chain), PrivateKey: inline(key)},
		&tlsv3.CertificateValidationContext{TrustedCa: inline(bundle)},
	)
}

func secretFiles(
	trustDomain string, own *tlsv3.TlsCertificate, roots *tlsv3.CertificateValidationContext,
) (map[string][]byte, error) {
	trust, err := identities(roots, trustDomain)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for name, secret := range map[string]*tlsv3.Secret{
		identityResource: {Name: secretIdentity, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: own}},
		trustResource:    {Name: secretTrust, Type: &tlsv3.Secret_ValidationContext{ValidationContext: trust}},
	} {
		packed, err := anypb.New(secret)
		if err != nil {
			return nil, err
		}
		data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(&discoveryv3.DiscoveryResponse{
			Resources: []*anypb.Any{packed},
		})
		if err != nil {
			return nil, err
		}
		if out[name], err = manifest.YAML(json.RawMessage(data)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// certificateSecret is the certificate in a secret that the spec names: files, which Envoy watches.
func (b *builder) certificateSecret(name string) *tlsv3.SdsSecretConfig {
	dir := path.Join(b.member.Proxy.SecretDirectory, name)
	return b.secret(&tlsv3.Secret{
		Name: namedCertificate(name),
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: file(path.Join(dir, certificateFile)), PrivateKey: file(path.Join(dir, keyFile)),
			WatchedDirectory: &corev3.WatchedDirectory{Path: dir},
		}},
	})
}

// rootsSecret are the roots in such a secret.
func (b *builder) rootsSecret(name string) *tlsv3.SdsSecretConfig {
	dir := path.Join(b.member.Proxy.SecretDirectory, name)
	return b.secret(&tlsv3.Secret{
		Name: namedRoots(name),
		Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: file(path.Join(dir, trustFile)), WatchedDirectory: &corev3.WatchedDirectory{Path: dir},
		}},
	})
}

// secret has the proxy know a secret, once, and is how it is asked for.
func (b *builder) secret(s *tlsv3.Secret) *tlsv3.SdsSecretConfig {
	if !slices.ContainsFunc(b.out.Secrets, func(known *tlsv3.Secret) bool { return known.Name == s.Name }) {
		b.out.Secrets = append(b.out.Secrets, s)
	}
	return secretConfig(s.Name)
}

func inline(data []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: string(data)}}
}

func file(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
}

func secretConfig(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: ads()}
}
