package link

import (
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/compiler/spec"
)

// trustDomains links mesh.trustDomains.
func (l *linker) trustDomains(u *spec.Unit) {
	for _, name := range sortedKeys(u.Mesh.TrustDomains) {
		s := u.Mesh.TrustDomains[name]
		here := place{u, fmt.Sprintf("mesh.trustDomains.%q", name)}
		td, err := spiffeid.TrustDomainFromString(name)
		switch {
		case err != nil:
			l.add(diag.BadFormat, here, fmt.Sprintf("%q is not a valid SPIFFE trust domain", name), here.pos(s.Pos))
			continue
		case td == l.trustDomain:
			l.add(diag.NameTaken, here,
				fmt.Sprintf("%s is the mesh's own trust domain, whose roots come from its issuer", name),
				here.pos(s.Pos), here.pos(u.Mesh.TrustDomain.Pos)).
				hint("remove it")
			continue
		}
		bundle, reason := roots(s.Bundle.Value)
		if reason != "" {
			l.add(diag.BadFormat, here.field("bundle"), "bundle "+reason, here.pos(s.Bundle.Pos)).
				hint("certificates of authorities in PEM")
			continue
		}
		l.mesh.TrustDomains = append(l.mesh.TrustDomains, &ir.TrustDomain{
			Name: name, Bundle: bundle,
			Pos: here.pos(s.Pos),
		})
	}
}

// roots are the certificates of a bundle in PEM, or what is wrong with it.
func roots(text string) (string, string) {
	var out strings.Builder
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := publickey.ParseCertificate(block.Bytes)
		switch {
		case block.Type != "CERTIFICATE":
			return "", "has a block that is not a certificate"
		case errors.Is(err, publickey.ErrKey):
			return "", fmt.Sprintf("has a certificate whose key is not supported: %v", err)
		case err != nil:
			return "", "has a certificate that cannot be read"
		case !c.IsCA:
			return "", fmt.Sprintf("has a certificate that is not a CA certificate: %s", c.Subject)
		}
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	if strings.TrimSpace(string(rest)) != "" || out.Len() == 0 {
		return "", "is not PEM from its beginning to its end"
	}
	return out.String(), ""
}
