package istio

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	securityv1 "istio.io/api/security/v1beta1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// translation is a rule of a policy on its way to a service's own.
type translation struct {
	*reader
	object    *importer.Object
	service   *importer.Service
	deny      bool
	plaintext bool // the service takes it
	at        []string
}

// rules returns the rules for a rule of Istio: one for each pair of source and operation, each with all conditions.
// If something cannot be expressed, an ALLOW rule is omitted, and a DENY rule denies more.
func (t *translation) rules(r *securityv1.Rule) []*spec.Rule {
	sources := r.From
	if len(sources) == 0 {
		sources = []*securityv1.Rule_From{nil}
	}
	operations := r.To
	if len(operations) == 0 {
		operations = []*securityv1.Rule_To{nil}
	}
	var out []*spec.Rule
	for i, from := range sources {
		peers, ok := t.peers(from.GetSource(), t.pathTo("from", strconv.Itoa(i), "source"))
		if !ok {
			continue
		}
		for n, to := range operations {
			rule := &spec.Rule{From: peers}
			if !t.operation(to.GetOperation(), rule, t.pathTo("to", strconv.Itoa(n), "operation")) {
				continue
			}
			rules, ok := t.tokens(from.GetSource().GetRequestPrincipals(), rule,
				t.pathTo("from", strconv.Itoa(i), "source", "requestPrincipals"))
			for c, when := range r.When {
				rules, ok = t.condition(when, rules, ok, t.pathTo("when", strconv.Itoa(c)))
			}
			if ok {
				out = append(out, rules...)
			}
		}
	}
	return out
}

// pathTo is a path in the rule.
func (t *translation) pathTo(path ...string) []string { return slices.Concat(t.at, path) }

// unsaid reports what remains of a part of a rule, and returns whether the rule can be carried over without it.
func (t *translation) unsaid(rest any, at []string) bool {
	if importer.IsEmpty(rest) {
		return true
	}
	why := ruleNarrowed
	if t.deny {
		why = ruleWidened
	}
	t.LeftAt(t.object, rest, why, at...)
	return t.deny
}

// everyone is whoever may come at all.
func (t *translation) everyone() *spec.Peers {
	p := &spec.Peers{Anyone: spec.Written(true)}
	if t.plaintext && !t.deny {
		p.Plaintext = spec.Written(true)
	}
	return p
}

// peers are the callers that a source means. Its fields must all hold.
func (t *translation) peers(s *securityv1.Source, at []string) (*spec.Peers, bool) {
	if s == nil {
		return t.everyone(), true
	}
	d := proto.Clone(s).(*securityv1.Source)
	d.RequestPrincipals = nil // see tokens
	var out *spec.Peers
	principals := append(importer.Take(&d.Principals), t.accounts(importer.Take(&d.ServiceAccounts))...)
	namespaces := importer.Take(&d.Namespaces)
	switch {
	case len(principals) > 0:
		out = t.principals(principals, namespaces, at)
	case len(namespaces) > 0:
		out = t.namespaces(namespaces, at)
	default:
		out = t.everyone()
	}
	out = t.ofAddresses(out, d, at)
	if !t.unsaid(d, at) {
		return nil, false
	}
	return out, out != nil
}

// accounts are the principals of service accounts: "NAMESPACE/NAME", or a name in the policy's namespace.
func (t *translation) accounts(list []string) []string {
	var out []string
	for _, a := range list {
		namespace, name, ok := strings.Cut(a, "/")
		if !ok {
			namespace, name = t.object.Metadata.Namespace, a
		}
		out = append(out, t.TrustDomain+"/ns/"+namespace+"/sa/"+name)
	}
	return out
}

// principals are the members with these identities, "DOMAIN/ns/NAMESPACE/sa/ACCOUNT", that are in one of the
// namespaces, where some are named.
func (t *translation) principals(list, namespaces []string, at []string) *spec.Peers {
	p := &spec.Peers{}
	for i, principal := range list {
		where := slices.Concat(at, []string{"principals", strconv.Itoa(i)})
		if principal == "*" {
			if len(namespaces) > 0 {
				return t.namespaces(namespaces, at)
			}
			p.Anyone = spec.Written(true)
			continue
		}
		switch {
		case t.addHolders(p, principal, namespaces):
		case len(namespaces) == 0 && t.ownIdentity(principal) != "": // somebody may get it
			p.Identities = append(p.Identities, spec.Written(t.ownIdentity(principal)))
		case t.deny:
			t.LetsMore(t.object, "nobody that was read has this identity", where...)
		default:
			t.NotCarried(t.object, "nobody that was read has this identity", where...)
		}
	}
	if p.Anyone.IsSet() || p.Services != nil || p.Gateways != nil || p.Identities != nil {
		return p
	}
	return nil
}

// identity is a principal that is one identity: its trust domain, and the rest of it.
var identity = regexp.MustCompile(`^([a-z0-9.-]+)(/ns/[a-z0-9-]+/sa/[a-z0-9.-]+)$`)

// ownIdentity is the identity of the mesh's own trust domain, for which cluster.local stands too, that a principal
// means; "" for another, and for a pattern.
func (t *translation) ownIdentity(principal string) string {
	parts := identity.FindStringSubmatch(principal)
	if parts == nil || parts[1] != t.TrustDomain && parts[1] != "cluster.local" {
		return ""
	}
	return "spiffe://" + t.TrustDomain + parts[2]
}

// addHolders adds the members whose identity matches a principal, which is "DOMAIN/ns/NAMESPACE/sa/ACCOUNT" or a
// pattern. If namespaces are given, the members must be in one of them.
func (t *translation) addHolders(p *spec.Peers, principal string, namespaces []string) bool {
	holds := func(namespace, account string) bool {
		within := len(namespaces) == 0 ||
			slices.ContainsFunc(namespaces, func(n string) bool { return importer.Matches(n, namespace) })
		return within && slices.ContainsFunc([]string{"cluster.local", t.TrustDomain}, func(domain string) bool {
			return importer.Matches(principal, domain+"/ns/"+namespace+"/sa/"+account)
		})
	}
	found := false
	for _, s := range t.Sorted() {
		some, all := false, true
		for _, account := range s.Accounts() {
			is := holds(s.Namespace, account)
			some, all = some || is, all && is
		}
		if some && !all && !t.deny {
			continue // all of its pods would be let in
		}
		if some && !slices.Contains(p.Services, spec.Written(s.Name)) {
			p.Services, found = append(p.Services, spec.Written(s.Name)), true
		}
	}
	for account := range t.edge {
		if namespace, name, _ := strings.Cut(account, "/"); holds(namespace, name) {
			found = t.addGateways(p, account) || found
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Repository.Gateways)) {
		o := t.ofGatewayAPI(name) // whose proxies Istio gives an account
		if o != nil && holds(o.Metadata.Namespace, o.Metadata.Name+"-istio") {
			p.Gateways, found = append(p.Gateways, spec.Written(name)), true
		}
	}
	return found
}

// ofGatewayAPI is the Gateway of the Gateway API that a gateway is made of; nil for one of Istio's.
func (m *reader) ofGatewayAPI(name string) *importer.Object {
	if o := m.Origin("gateways/" + name); o != nil && o.Group() == "gateway.networking.k8s.io" {
		return o
	}
	return nil
}

// addGateways adds the gateways whose proxies have the account.
func (t *translation) addGateways(p *spec.Peers, account string) bool {
	found := false
	for _, name := range t.gatewaysOf(account) {
		if found = true; !slices.Contains(p.Gateways, spec.Written(name)) {
			p.Gateways = append(p.Gateways, spec.Written(name))
			slices.SortFunc(p.Gateways, func(a, b spec.Field[string]) int { return strings.Compare(a.Value, b.Value) })
		}
	}
	return found
}

// gatewaysOf are the gateways, by name, that are made of Gateways which select pods of the account.
func (m *reader) gatewaysOf(account string) []string {
	var out []string
	for _, g := range m.gateways {
		selects := slices.ContainsFunc(m.edge[account], func(pods map[string]string) bool {
			return len(g.selector) > 0 && labels.SelectorFromSet(g.selector).Matches(labels.Set(pods))
		})
		if selects && !slices.Contains(out, g.name) && m.Repository.Gateways[g.name] != nil {
			out = append(out, g.name)
		}
	}
	slices.Sort(out)
	return out
}

// namespaces are the members in namespaces, each a name or a pattern. A namespace that a gateway of the mesh is in, and
// Istio's gateways are not, is its services.
func (t *translation) namespaces(list, at []string) *spec.Peers {
	p := &spec.Peers{}
	for i, pattern := range list {
		if pattern == "*" {
			return &spec.Peers{Anyone: spec.Written(true)}
		}
		found := false
		members := map[string][]spec.Field[string]{}
		for _, s := range t.Sorted() {
			if importer.Matches(pattern, s.Namespace) {
				members[s.Namespace] = append(members[s.Namespace], spec.Written(s.Name))
			}
		}
		for _, namespace := range slices.Sorted(maps.Keys(members)) {
			found = true
			if slices.ContainsFunc(slices.Collect(maps.Keys(t.Repository.Gateways)), func(name string) bool {
				return t.Repository.Gateways[name].Namespace.Value == namespace && t.ofGatewayAPI(name) == nil
			}) {
				p.Services = append(p.Services, members[namespace]...)
			} else if !slices.Contains(p.Namespaces, spec.Written(namespace)) {
				p.Namespaces = append(p.Namespaces, spec.Written(namespace))
			}
		}
		for account := range t.edge {
			if namespace, _, _ := strings.Cut(account, "/"); importer.Matches(pattern, namespace) {
				found = t.addGateways(p, account) || found
			}
		}
		if !found && t.deny {
			t.LetsMore(t.object, "nobody that was read is in this namespace",
				slices.Concat(at, []string{"namespaces", strconv.Itoa(i)})...)
		} else if !found {
			t.NotCarried(t.object, "nobody of the mesh is in this namespace",
				slices.Concat(at, []string{"namespaces", strconv.Itoa(i)})...)
		}
	}
	if p.Namespaces == nil && p.Gateways == nil && p.Services == nil {
		return nil
	}
	return p
}
