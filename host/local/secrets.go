package local

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// secrets puts what the placed mesh names into the secret directories of its members, where it is not yet:
// certificates for the hosts of gateways' listeners and for members to show externals, which the stand-in authority
// signs, its root for clients' own, values of headers for a collector, and keys and passwords of clients.
func (a *stubAuthority) secrets(m *ir.Mesh) error {
	if err := headerValues(m); err != nil {
		return err
	}
	for _, g := range m.Gateways {
		if err := clientSecrets(g); err != nil {
			return err
		}
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
				if err := a.writeSecretOnce(dir, certified(l.Hosts)); err != nil {
					return err
				}
			}
		}
	}
	for _, scope := range m.Scopes() {
		for _, e := range scope.Externals {
			member := scope.Member()
			if e.Secret == "" || scope.GoesVia(e) {
				continue
			}
			dir := filepath.Join(member.Proxy.SecretDirectory, e.Secret)
			if err := a.writeSecretOnce(dir, []string{member.PlainName() + ".client.example"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeSecretOnce is [stubAuthority.writeSecret] where there is none yet.
func (a *stubAuthority) writeSecretOnce(dir string, hosts []string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	return a.writeSecret(dir, hosts)
}

// headerValues writes a value for each header that the collector is shown, where there is none.
func headerValues(m *ir.Mesh) error {
	if m.Collector == nil {
		return nil
	}
	var directories []string
	for _, s := range m.Services {
		directories = append(directories, s.Proxy.SecretDirectory)
	}
	for _, g := range m.Gateways {
		directories = append(directories, g.Proxy.SecretDirectory)
	}
	for _, directory := range directories {
		for i := range m.Collector.Headers {
			h := &m.Collector.Headers[i]
			if directory == "" {
				continue
			}
			if err := writeValueOnce(directory, &h.SecretValue, "stand-in"); err != nil {
				return err
			}
		}
	}
	return nil
}

// clientSecrets writes a key or a password for each that clients of a gateway have, where there is none.
func clientSecrets(g *ir.Gateway) error {
	for i := range g.Clients {
		for _, v := range slices.Concat(g.Clients[i].APIKeys, g.Clients[i].Passwords) {
			if err := writeValueOnce(g.Proxy.SecretDirectory, &v, standInSecret(&v)); err != nil {
				return err
			}
		}
	}
	return nil
}

// standInSecret is the key or the password of clients that stands in a secret for which there is none.
func standInSecret(v *ir.SecretValue) string { return "stand-in-of-" + v.Secret + "-" + v.Key }

// writeValueOnce writes a value of a secret where there is none yet.
func writeValueOnce(directory string, v *ir.SecretValue, value string) error {
	name := filepath.Join(directory, v.Secret, v.Key)
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(value), 0o600)
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
