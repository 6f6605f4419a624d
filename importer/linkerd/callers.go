package linkerd

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// callers are whom something lets in: those with one of these identities, or everyone; in addition those without an
// identity, if plaintext is set; all of them only from ranges, if there are any.
type callers struct {
	Services, Namespaces, Identities, Ranges []string
	Anyone, Plaintext                        bool
}

// The default inbound policies.
const (
	allUnauthenticated     = "all-unauthenticated"
	allAuthenticated       = "all-authenticated"
	clusterUnauthenticated = "cluster-unauthenticated"
	clusterAuthenticated   = "cluster-authenticated"
	audit                  = "audit"
	deny                   = "deny"
)

// clusterNetworks are those of a cluster unless the installation of Linkerd has others.
var clusterNetworks = []string{"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"}

// byPolicy are whom a default policy lets in, none for deny; known is false for a policy that there is not.
func (m *reader) byPolicy(name string) (out []callers, known bool) {
	switch name {
	case allUnauthenticated, audit:
		return []callers{{Anyone: true, Plaintext: true}}, true
	case allAuthenticated:
		return []callers{{Anyone: true}}, true
	case clusterUnauthenticated:
		return []callers{{Anyone: true, Plaintext: true, Ranges: m.networks}}, true
	case clusterAuthenticated:
		return []callers{{Anyone: true, Ranges: m.networks}}, true
	}
	return nil, name == deny
}

// identity adds those whom an identity of a MeshTLSAuthentication means:
// "SA.NS.serviceaccount.identity.linkerd.DOMAIN", with a "*" for any beginning. An identity of another form, or of
// another trust domain, is added as "".
func (m *reader) identity(c *callers, text string) {
	name, domain, ok := strings.Cut(text, "serviceaccount.identity.linkerd.")
	switch parts := strings.Split(strings.TrimSuffix(name, "."), "."); {
	case text == "*" || ok && name == "*." && slices.Contains(m.domains, domain):
		c.Anyone = true
	case !ok || !slices.Contains(m.domains, domain) || len(parts) != 2 || importer.NameOf(parts[1]) != parts[1]:
		c.Identities = append(c.Identities, "")
	case parts[0] == "*":
		m.namespace(c, parts[1])
	default:
		m.account(c, parts[1], parts[0])
	}
}

// account adds the services of a service account, or its identity where none was read.
func (m *reader) account(c *callers, namespace, name string) {
	if services := m.accounts[namespace+"/"+name]; len(services) > 0 {
		c.Services = append(c.Services, services...)
		return
	}
	c.Identities = append(c.Identities, "spiffe://"+m.TrustDomain+"/ns/"+namespace+"/sa/"+name)
}

// namespace adds those of a namespace: its members, or the identities where none was read.
func (m *reader) namespace(c *callers, name string) {
	if m.inhabited[name] {
		c.Namespaces = append(c.Namespaces, name)
		return
	}
	c.Identities = append(c.Identities, "spiffe://"+m.TrustDomain+"/ns/"+name+"/*")
}

// rules are the callers in rules, one for those with an identity and one for the others.
func (c callers) rules() []*spec.Rule {
	var out []*spec.Rule
	add := func(p spec.Peers) {
		if len(c.Ranges) > 0 {
			p.IPRanges = spec.WrittenAll(unique(c.Ranges)...)
		}
		out = append(out, &spec.Rule{From: &p})
	}
	switch {
	case c.Anyone:
		add(spec.Peers{Anyone: spec.Written(true)})
	case len(c.Services)+len(c.Namespaces)+len(c.Identities) > 0:
		p := spec.Peers{}
		if len(c.Services) > 0 {
			p.Services = spec.WrittenAll(unique(c.Services)...)
		}
		if len(c.Namespaces) > 0 {
			p.Namespaces = spec.WrittenAll(unique(c.Namespaces)...)
		}
		if len(c.Identities) > 0 {
			p.Identities = spec.WrittenAll(unique(c.Identities)...)
		}
		add(p)
	}
	if c.Plaintext {
		add(spec.Peers{Plaintext: spec.Written(true)})
	}
	return out
}

// include reports whether all of other callers are among these, as far as that is plain.
func (c callers) include(o callers) bool {
	among := func(of, list []string) bool {
		return !slices.ContainsFunc(list, func(text string) bool { return !slices.Contains(of, text) })
	}
	who := c.Anyone || !o.Anyone && among(c.Services, o.Services) && among(c.Namespaces, o.Namespaces) &&
		among(c.Identities, o.Identities)
	where := len(c.Ranges) == 0 || len(o.Ranges) > 0 && among(c.Ranges, o.Ranges)
	return who && where && (c.Plaintext || !o.Plaintext)
}

func unique(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// key is the same for values that say the same.
func key(v ...any) string {
	text, _ := json.Marshal(v) // of texts alone
	return string(text)
}
