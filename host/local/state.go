package local

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/compiler/atomicfile"
	"github.com/meshc/meshc/compiler/ir"
)

// stateFile, beside the announcement, is what [Find] reads: it has private keys, as the directory has others.
const stateFile = "state.json"

// state is a [Running]. Keys are in PKCS #8, and the root is of the authority that stands in for others.
type state struct {
	Mesh     json.RawMessage `json:"mesh"`
	Placed   json.RawMessage `json:"placed"`
	Root     []byte          `json:"root"`
	RootKey  []byte          `json:"rootKey"`
	TokenKey []byte          `json:"tokenKey,omitempty"`
}

// keepState writes the mesh down as it is now, where other processes may find it.
func (m *Mesh) keepState() error {
	if m.spec == "" {
		return nil
	}
	r := m.Running()
	s := state{Root: r.stubs.certificate.Raw}
	var err error
	if s.Mesh, err = ir.Marshal(r.Mesh); err != nil {
		return err
	}
	if s.Placed, err = ir.Marshal(r.Placed); err != nil {
		return err
	}
	if s.RootKey, err = x509.MarshalPKCS8PrivateKey(r.stubs.key); err != nil {
		return err
	}
	if r.tokenKey != nil {
		if s.TokenKey, err = x509.MarshalPKCS8PrivateKey(r.tokenKey); err != nil {
			return err
		}
	}
	return atomicfile.Replace(filepath.Join(m.temporary.dir, stateFile), 0o600, func(f *os.File) error {
		return json.NewEncoder(f).Encode(s)
	})
}

// readState is what the mesh of a directory wrote.
func readState(dir *os.Root) (*Running, error) {
	data, err := dir.ReadFile(stateFile)
	if err != nil {
		return nil, err
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	r := &Running{stubs: &stubAuthority{roots: x509.NewCertPool()}}
	if r.Mesh, err = ir.Unmarshal(s.Mesh); err != nil {
		return nil, err
	}
	if r.Placed, err = ir.Unmarshal(s.Placed); err != nil {
		return nil, err
	}
	if r.stubs.certificate, err = x509.ParseCertificate(s.Root); err != nil {
		return nil, err
	}
	r.stubs.roots.AddCert(r.stubs.certificate)
	if r.stubs.key, err = privateKey(s.RootKey); err != nil {
		return nil, err
	}
	if s.TokenKey != nil {
		if r.tokenKey, err = privateKey(s.TokenKey); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func privateKey(der []byte) (*ecdsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key in %s is a %T", stateFile, key)
	}
	return ec, nil
}
