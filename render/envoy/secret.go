package envoy

import (
	"path"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// The files of a certificate directory.
const (
	certificateFile = "tls.crt"
	keyFile         = "tls.key"
	trustFile       = "ca.crt"
)

// secrets are the proxy's own certificate, of which only the names of its files
// are sent, and whom it trusts. Envoy watches the directory and takes renewed
// files by itself.
func (b *builder) secrets() {
	dir := b.member.Proxy.CertificateDirectory
	watched := &corev3.WatchedDirectory{Path: dir}
	trust := b.ownTrust()
	b.out.Secrets = append(b.out.Secrets,
		&tlsv3.Secret{Name: secretIdentity, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: file(path.Join(dir, certificateFile)),
			PrivateKey:       file(path.Join(dir, keyFile)),
			WatchedDirectory: watched,
		}}},
		&tlsv3.Secret{Name: secretTrust, Type: &tlsv3.Secret_ValidationContext{ValidationContext: trust}},
	)
	if b.trustsAll {
		b.out.Secrets = append(b.out.Secrets, b.trustOfAll(trust))
	}
}

func file(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
}

func secretConfig(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: ads()}
}
