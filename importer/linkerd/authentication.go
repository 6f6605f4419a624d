package linkerd

import (
	"fmt"
	"strconv"

	"github.com/meshc/meshc/importer"
)

type meshTLSAuthentication struct {
	Identities   []string    `json:"identities"`
	IdentityRefs []reference `json:"identityRefs"`
}

type networkAuthentication struct {
	Networks []network `json:"networks"`
}

type network struct {
	CIDR   string   `json:"cidr"`
	Except []string `json:"except"`
}

// reference names an object.
type reference struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// authentications are the objects of a kind by NAMESPACE/NAME.
func (m *reader) authentications(kind string) map[string]*importer.Object {
	out := map[string]*importer.Object{}
	for _, o := range importer.Of(m.objects, policy, kind) {
		out[o.Metadata.Namespace+"/"+o.Metadata.Name] = o
	}
	return out
}

// authenticated are the callers that all of the references of an AuthorizationPolicy let in; nil, which is told, where
// that cannot be said.
func (m *reader) authenticated(o *importer.Object, refs []reference) *callers {
	out := &callers{Anyone: true, Plaintext: true}
	kinds := map[string]bool{}
	for i, ref := range refs {
		at := []string{"spec", "requiredAuthenticationRefs", strconv.Itoa(i)}
		if ref.Namespace == "" {
			ref.Namespace = o.Metadata.Namespace
		}
		sort := ref.Kind
		if sort == "ServiceAccount" {
			sort = "MeshTLSAuthentication"
		}
		if kinds[sort] {
			m.NotCarried(o, "it requires two of a kind at once, so nobody is let in for it", at...)
			return nil
		}
		kinds[sort] = true
		if !m.requires(out, ref) {
			m.NotCarried(o, fmt.Sprintf("no valid %s %s/%s was read, so nobody is let in for it", ref.Kind, ref.Namespace,
				ref.Name), at...)
			return nil
		}
	}
	return out
}

// requires narrows callers to those of a reference. It returns false if it leads to none.
func (m *reader) requires(c *callers, ref reference) bool {
	name := ref.Namespace + "/" + ref.Name
	switch ref.Kind {
	case "ServiceAccount":
		c.Anyone, c.Plaintext = false, false
		m.account(c, ref.Namespace, ref.Name)
		return true
	case "MeshTLSAuthentication":
		of := m.meshTLS[name]
		c.Anyone, c.Plaintext = false, false
		return of != nil && m.meshAuthentication(c, of)
	case "NetworkAuthentication":
		var d networkAuthentication
		of := m.network[name]
		return of != nil && m.Decode(of, "spec", &d) && m.from(c, of, d.Networks, "spec", "networks")
	}
	return false
}

// meshAuthentication adds the identities of a MeshTLSAuthentication. It returns false if there are none.
func (m *reader) meshAuthentication(c *callers, o *importer.Object) bool {
	var d meshTLSAuthentication
	if !m.Decode(o, "spec", &d) {
		return false
	}
	for _, text := range d.Identities {
		m.identity(c, text)
	}
	for _, ref := range d.IdentityRefs {
		switch ref.Kind {
		case "ServiceAccount":
			if ref.Namespace == "" {
				ref.Namespace = o.Metadata.Namespace
			}
			m.account(c, ref.Namespace, ref.Name)
		case "Namespace":
			if ref.Name == "" {
				ref.Name = o.Metadata.Namespace
			}
			m.namespace(c, ref.Name)
		default:
			m.NotCarried(o, "an identity is of a ServiceAccount or a Namespace", "spec", "identityRefs")
		}
	}
	return m.said(o, c, "spec", "identities")
}

// said drops the identities that the mesh cannot have, and tells them. It returns false if there are no others.
func (m *reader) said(o *importer.Object, c *callers, at ...string) bool {
	kept := c.Identities[:0]
	for _, id := range c.Identities {
		if id == "" {
			m.NotCarried(o, "one of them is not SERVICE-ACCOUNT.NAMESPACE.serviceaccount.identity.linkerd."+m.domains[0]+
				", so nobody is let in for it", at...)
			continue
		}
		kept = append(kept, id)
	}
	c.Identities = kept
	return c.Anyone || len(c.Services)+len(c.Namespaces)+len(c.Identities) > 0
}

// from narrows callers to networks. It returns false if no address is left.
func (m *reader) from(c *callers, o *importer.Object, networks []network, at ...string) bool {
	any4, any6 := false, false
	for _, n := range networks {
		ranges, err := importer.Without(n.CIDR, n.Except)
		if err != nil {
			m.NotCarried(o, err.Error()+", so nobody is let in for it", at...)
			continue
		}
		any4 = any4 || n.CIDR == "0.0.0.0/0" && len(n.Except) == 0
		any6 = any6 || n.CIDR == "::/0" && len(n.Except) == 0
		c.Ranges = append(c.Ranges, ranges...)
	}
	if len(c.Ranges) == 0 {
		return false
	}
	if any4 && any6 {
		c.Ranges = nil
	}
	return true
}
