package local

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/compiler/ir"
)

// gatewaySecrets puts what the listeners of the placed mesh's gateways name into
// their secret directories, where it is not yet: certificates for the listeners'
// hosts, which the stand-in authority signs, and its root for clients' own.
func (a *stubAuthority) gatewaySecrets(m *ir.Mesh) error {
	for _, g := range m.Gateways {
		for i := range g.Listeners {
			l := &g.Listeners[i]
			if l.TLS == nil {
				continue
			}
			for _, name := range []string{l.TLS.Secret, l.TLS.ClientRoots} {
				if name == "" {
					continue
				}
				dir := filepath.Join(g.Proxy.SecretDirectory, name)
				if _, err := os.Stat(dir); err == nil {
					continue
				}
				if err := a.writeSecret(dir, certified(l.Hosts)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// certified are names that a certificate may carry.
func certified(hosts []string) []string {
	var out []string
	for _, h := range hosts {
		if h == "*" {
			h = "localhost"
		}
		out = append(out, h)
	}
	return out
}

// writeSecret writes tls.crt, tls.key and ca.crt as Kubernetes mounts a Secret:
// the names lead through a link to a directory that is replaced as a whole.
func (a *stubAuthority) writeSecret(dir string, hosts []string) error {
	certificate, err := a.issue(hosts)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		"tls.key": {Type: "PRIVATE KEY", Bytes: key},
		"ca.crt":  {Type: "CERTIFICATE", Bytes: a.certificate.Raw},
	} {
		if err := os.WriteFile(filepath.Join(data, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	link := filepath.Join(dir, "..data-link")
	if err := os.Symlink(filepath.Base(data), link); err != nil {
		return err
	}
	return os.Rename(link, filepath.Join(dir, "..data"))
}
