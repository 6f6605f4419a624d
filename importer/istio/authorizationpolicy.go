package istio

import (
	"reflect"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	securityv1 "istio.io/api/security/v1beta1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var authorizationPolicyReasons = map[string]string{
	"targetRef":  "rules are a service's; a gateway lets in whoever reaches it",
	"targetRefs": "rules are a service's; a gateway lets in whoever reaches it",
}

// sourceReasons and the like are why a part of a rule cannot be said.
const (
	ruleNarrowed = "the language cannot say it, and so the rule, which would let in more without it, is left out"
	ruleWidened  = "the language cannot say it, and so the rule denies more: all that it would without it"
)

// authorizationPolicies writes the rules of services. A service without an ALLOW policy allows every member of the
// mesh, or its callers if they are known, and every sender in plaintext if plaintext is permitted.
func (m *reader) authorizationPolicies(permissive map[string]bool) {
	restricted, tokens, partly := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range m.objectsOf(security, "AuthorizationPolicy") {
		var d securityv1.AuthorizationPolicy
		if !m.Decode(o, "spec", &d) {
			continue
		}
		selection := m.targets(o, &d)
		services := byName(selection)
		action := importer.Take(&d.Action)
		deny := action == securityv1.AuthorizationPolicy_DENY
		if action != securityv1.AuthorizationPolicy_ALLOW && !deny {
			m.reportOtherAction(o, &d, action)
		}
		m.toGateways(o, &d, services, action)
		mode := o.Metadata.Annotations["istio.io/dry-run"] == "true"
		for _, s := range services {
			if !deny && action == securityv1.AuthorizationPolicy_ALLOW && !mode {
				if restricted[s.Name] && (partly[s.Name] || !selection[s]) {
					m.LetsMore(o, "several policies are for some of the pods of "+s.Name+
						" each, and a service has one set of rules", "spec", "selector")
				}
				restricted[s.Name] = true
				partly[s.Name] = partly[s.Name] || !selection[s]
			}
			for i, r := range d.Rules {
				if deny && !mode && wantsToken(r) {
					tokens[s.Name] = true
					continue
				}
				t := &translation{
					reader: m, object: o, service: s, deny: deny,
					at: []string{"spec", "rules", strconv.Itoa(i)}, plaintext: permissive[s.Name],
				}
				for _, rule := range t.byProtocol(t.rules(proto.Clone(r).(*securityv1.Rule))) {
					if mode {
						rule.Mode = spec.Written("audit")
					}
					if deny {
						s.Spec.Deny = append(s.Spec.Deny, rule)
					} else {
						s.Spec.Allow = append(s.Spec.Allow, rule)
					}
				}
			}
		}
		d.Rules = nil // told rule by rule
		m.Left(o, "spec", &d, authorizationPolicyReasons)
	}
	for _, s := range m.Sorted() {
		if !restricted[s.Name] && len(s.Spec.Ports) > 0 {
			from := &spec.Peers{Anyone: spec.Written(true)}
			if m.Calls != nil {
				from = m.Callers(s)
			}
			if permissive[s.Name] {
				if from == nil {
					from = &spec.Peers{}
				}
				from.Plaintext = spec.Written(true)
			}
			if from != nil {
				s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{From: from})
			}
		}
		if tokens[s.Name] {
			m.askForTokens(s)
		}
		s.Spec.Allow, s.Spec.Deny = distinct(s.Spec.Allow), distinct(s.Spec.Deny)
	}
}

// wantsToken reports whether a rule of DENY is for all requests without a token, and for these alone.
func wantsToken(r *securityv1.Rule) bool {
	return proto.Equal(r, &securityv1.Rule{
		From: []*securityv1.Rule_From{{Source: &securityv1.Source{NotRequestPrincipals: []string{"*"}}}},
	})
}

// askForTokens makes each allow rule of a service require a token of one of its issuers.
func (m *reader) askForTokens(s *importer.Service) {
	var out []*spec.Rule
	for _, rule := range s.Spec.Allow {
		if rule.JWT != nil {
			out = append(out, rule)
			continue
		}
		for _, issuer := range m.issuers[s.Name] { // without any nobody is let in, as in Istio
			m.asked[s.Name+"/"+issuer] = true
			r := *rule
			r.JWT = &spec.JWTRule{Issuer: spec.Written(issuer)}
			out = append(out, &r)
		}
	}
	s.Spec.Allow = out
}

// distinct are the rules without those that are there twice.
func distinct(rules []*spec.Rule) []*spec.Rule {
	var out []*spec.Rule
	for _, r := range rules {
		if !slices.ContainsFunc(out, func(before *spec.Rule) bool { return reflect.DeepEqual(before, r) }) {
			out = append(out, r)
		}
	}
	return out
}

// targets are the services that a policy is for.
func (m *reader) targets(o *importer.Object, d *securityv1.AuthorizationPolicy) map[*importer.Service]bool {
	refs := d.TargetRefs
	if d.TargetRef != nil {
		refs = append(refs, d.TargetRef)
	}
	if len(refs) == 0 {
		return m.selected(o, importer.Take(&d.Selector).GetMatchLabels())
	}
	out := map[*importer.Service]bool{}
	for _, ref := range refs {
		if s := m.Service(o.Metadata.Namespace, ref.Name); s != nil && ref.Kind == "Service" && ref.Group == "" {
			out[s] = true
			proto.Reset(ref)
			continue
		}
		m.LetsMore(o, "rules are a service's, and it is for the "+ref.Kind+" "+ref.Name+" too", "spec")
		proto.Reset(ref)
	}
	return out
}

// toGateways reports a policy for the proxies of a gateway, because gateways have no rules.
func (m *reader) toGateways(o *importer.Object, d *securityv1.AuthorizationPolicy, services []*importer.Service,
	action securityv1.AuthorizationPolicy_Action,
) {
	everywhere := o.Metadata.Namespace == rootNamespace && len(d.TargetRefs) == 0 && d.TargetRef == nil &&
		o.Position("spec", "selector") == o.Position("spec")
	if everywhere && len(m.Repository.Gateways) > 0 && action != securityv1.AuthorizationPolicy_AUDIT {
		m.LetsMore(o, "it is for the proxies of gateways too, which have no rules: a gateway lets in whoever reaches it", "spec")
		return
	}
	if len(services) > 0 || len(d.TargetRefs) > 0 || d.TargetRef != nil {
		return
	}
	m.LetsMore(o, "none of the services that were read has the pods that it is for, and rules are a service's", "spec",
		"selector")
}

// reportOtherAction reports a policy that neither allows nor denies by itself.
func (m *reader) reportOtherAction(o *importer.Object, d *securityv1.AuthorizationPolicy,
	action securityv1.AuthorizationPolicy_Action,
) {
	d.Rules = nil
	if action == securityv1.AuthorizationPolicy_AUDIT {
		m.NotCarried(o, "a rule of its own may be tried without effect: mode: audit", "spec", "action")
		return
	}
	d.ActionDetail = nil
	m.LetsMore(o, "name who is asked in mesh.externalAuthorization, and that name in externalAuthorization of the service", "spec", "action")
}
