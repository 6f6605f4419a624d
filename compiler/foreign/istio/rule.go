package istio

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	securityv1 "istio.io/api/security/v1beta1"

	"github.com/meshc/meshc/compiler/foreign"
	"github.com/meshc/meshc/compiler/spec"
)

// translation is a rule of a policy on its way to a service's own.
type translation struct {
	*importer
	object    *foreign.Object
	service   *foreign.Service
	deny      bool
	plaintext bool // the service takes it
	at        []string
}

// rules are what a rule of Istio says: one for each of its sources with each of its operations, and of
// its conditions all. What cannot be said makes a rule of allow go, and one of deny wider.
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
		peers, ok := t.peers(from.GetSource(), t.below("from", strconv.Itoa(i), "source"))
		if !ok {
			continue
		}
		for n, to := range operations {
			rule := &spec.Rule{From: peers}
			if !t.operation(to.GetOperation(), rule, t.below("to", strconv.Itoa(n), "operation")) {
				continue
			}
			rules, ok := t.tokens(from.GetSource().GetRequestPrincipals(), rule, t.below("from", strconv.Itoa(i), "source", "requestPrincipals"))
			for c, when := range r.When {
				rules, ok = t.condition(when, rules, ok, t.below("when", strconv.Itoa(c)))
			}
			if ok {
				out = append(out, rules...)
			}
		}
	}
	return out
}

// below is a path in the rule.
func (t *translation) below(path ...string) []string { return slices.Concat(t.at, path) }

// unsaid tells what is left of a part of a rule, and reports whether the rule can go on without it.
func (t *translation) unsaid(rest any, at []string) bool {
	if foreign.IsEmpty(rest) {
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
	principals := append(foreign.Take(&d.Principals), t.accounts(foreign.Take(&d.ServiceAccounts))...)
	namespaces := foreign.Take(&d.Namespaces)
	switch {
	case len(principals) > 0:
		out = t.principals(principals, namespaces, at)
	case len(namespaces) > 0:
		out = t.namespaces(namespaces, at)
	default:
		out = t.everyone()
	}
	if blocks := foreign.Take(&d.IpBlocks); len(blocks) > 0 && out != nil {
		out.IPRanges = spec.WrittenAll(blocks...)
	}
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
		domain, rest, _ := strings.Cut(principal, "/ns/")
		namespace, account, _ := strings.Cut(rest, "/sa/")
		if domain != "cluster.local" && domain != t.TrustDomain || strings.ContainsAny(account, "*/") || namespace == "" {
			t.NotCarried(t.object, "the mesh knows nobody by this identity", where...)
			continue
		}
		if len(namespaces) > 0 && !slices.Contains(namespaces, namespace) {
			continue
		}
		if !t.addHolders(p, namespace, account) {
			t.NotCarried(t.object, "no service that was read has this identity", where...)
		}
	}
	if p.Anyone.IsSet() || p.Services != nil || p.Gateways != nil {
		return p
	}
	return nil
}

// addHolders adds the members that have a service account, or are in a namespace, where the account is
// "".
func (t *translation) addHolders(p *spec.Peers, namespace, account string) bool {
	found := false
	for _, s := range t.Sorted() {
		if s.Namespace == namespace && s.Account == account {
			p.Services, found = append(p.Services, spec.Written(s.Name)), true
		}
	}
	// Istio's own gateways have the accounts of their installation, which is not read.
	if strings.Contains(account, "ingressgateway") || strings.Contains(account, "-istio") {
		for _, name := range t.gatewayNames() {
			p.Gateways, found = append(p.Gateways, spec.Written(name)), true
		}
	}
	return found
}

func (m *importer) gatewayNames() []string {
	var out []string
	for _, g := range m.gateways {
		if !slices.Contains(out, g.name) && m.Repository.Gateways[g.name] != nil {
			out = append(out, g.name)
		}
	}
	slices.Sort(out)
	return out
}

// namespaces are the members in namespaces that have some.
func (t *translation) namespaces(list, at []string) *spec.Peers {
	p := &spec.Peers{}
	for i, n := range list {
		where := slices.Concat(at, []string{"namespaces", strconv.Itoa(i)})
		switch {
		case n == "*":
			return &spec.Peers{Anyone: spec.Written(true)}
		case n == rootNamespace || n == "istio-ingress":
			for _, name := range t.gatewayNames() {
				p.Gateways = append(p.Gateways, spec.Written(name))
			}
		case !slices.ContainsFunc(t.Sorted(), func(s *foreign.Service) bool { return s.Namespace == n }):
			t.NotCarried(t.object, "nobody of the mesh is in this namespace", where...)
		default:
			p.Namespaces = append(p.Namespaces, spec.Written(n))
		}
	}
	if p.Namespaces == nil && p.Gateways == nil {
		return nil
	}
	return p
}
