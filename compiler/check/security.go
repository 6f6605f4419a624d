package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// guarded is a member that has rules.
type guarded struct {
	ir.Ref
	*ir.Guards
}

// rules are all rules of the mesh, each with its place.
func rules(m *ir.Mesh, yield func(of *guarded, list, path string, r *ir.Rule)) {
	each := func(path string, of *guarded) {
		for i := range of.Allow {
			yield(of, "allow", fmt.Sprintf("%s.allow[%d]", path, i), &of.Allow[i])
		}
		for i := range of.Deny {
			yield(of, "deny", fmt.Sprintf("%s.deny[%d]", path, i), &of.Deny[i])
		}
	}
	for _, s := range m.Services {
		each("services."+s.Name, &guarded{ir.ServiceRef(s.Name), &s.Guards})
	}
	for _, g := range m.Gateways {
		each("gateways."+g.Name, &guarded{ir.GatewayRef(g.Name), &g.Guards})
	}
}

// deniesBypassed finds rules of deny that hold for one spelling of a request: an
// application may take another one for the same.
func deniesBypassed(m *subject) (found diag.List) {
	rules(m.Mesh, func(s *guarded, list, path string, r *ir.Rule) {
		if list != "deny" {
			return
		}
		var by []string
		if len(r.Paths) > 0 && !slices.Contains(r.Paths, "/*") {
			by = append(by, "path")
		}
		for _, h := range r.Headers {
			if h.Kind != ir.MatchPresent && h.Kind != ir.MatchAbsent {
				by = append(by, "the value of "+h.Name)
			}
		}
		if r.JWT != nil {
			by = append(by, "token, which may be missing")
		}
		if len(by) > 0 {
			found.Add(diag.New(diag.DenyBypassed, path,
				fmt.Sprintf("%s denies requests by %s, and a request that is written differently passes", s.Name,
					strings.Join(by, " and by ")), r.Pos).
				WithHint("write in allow what is allowed; everything else is denied"))
		}
	})
	return found
}

// allowsByRegex finds rules of allow whose reach only a careful reader sees.
func allowsByRegex(m *subject) (found diag.List) {
	rules(m.Mesh, func(s *guarded, list, path string, r *ir.Rule) {
		for _, h := range r.Headers {
			if list == "allow" && (h.Kind == ir.MatchRegex || h.Invert) {
				found.Add(diag.New(diag.AllowByRegex, path+".headers."+h.Name,
					fmt.Sprintf("%s allows requests by a pattern of %s, which may match more than was meant", s.Name,
						h.Name), r.Pos).
					WithHint("write the values: exact, or a rule for each"))
			}
		}
	})
	return found
}

// wildcards finds rules of allow that let in callers who are not named.
func wildcards(m *subject) (found diag.List) {
	rules(m.Mesh, func(s *guarded, list, path string, r *ir.Rule) {
		for _, p := range r.From {
			what := ""
			switch {
			case p.Kind == ir.KindAnyone && s.Kind == ir.KindService: // a gateway has no other clients
				what = "every member of the mesh"
			case p.Kind == ir.KindIdentity && strings.HasSuffix(p.Pattern, "*"):
				what = "everyone whose identity is below " + strings.TrimSuffix(p.Pattern, "*")
			}
			if list == "allow" && what != "" {
				found.Add(diag.New(diag.WildcardIdentity, path+".from", fmt.Sprintf("%s allows %s", s.Name, what),
					r.Pos).
					WithHint(`name them: from: services: ["NAME"]`))
			}
		}
	})
	return found
}

// permissivePorts finds services that let connections in without TLS.
func permissivePorts(m *subject) (found diag.List) {
	for _, s := range m.Services {
		if !s.Plaintext {
			continue
		}
		open := slices.ContainsFunc(s.Allow, func(r ir.Rule) bool {
			return !r.Audit && slices.ContainsFunc(r.From, func(p ir.Peer) bool { return p.Kind == ir.KindPlaintext })
		})
		message, hint := fmt.Sprintf(
			"%s allows callers without TLS: anyone on the network can read and change the traffic", s.Name),
			fmt.Sprintf(`write mtls: "strict" in services.%s, as soon as all callers are members`, s.Name)
		if !open {
			message, hint = fmt.Sprintf("%s accepts connections without TLS, and no rule allows requests on them",
				s.Name), fmt.Sprintf(`write mtls: "strict" in services.%s, or a rule that allows plaintext`, s.Name)
		}
		found.Add(diag.New(diag.PermissivePort, "services."+s.Name+".mtls", message, s.Pos).WithHint("%s", hint))
	}
	return found
}

// openPorts finds ports of services that nothing guards.
func openPorts(m *subject) (found diag.List) {
	for _, s := range m.Services {
		for i := range s.Ports {
			if p := &s.Ports[i]; p.Open {
				found.Add(diag.New(diag.OpenPort, fmt.Sprintf("services.%s.ports.%s.mtls", s.Name, p.Name),
					fmt.Sprintf(
						"port %s of %s is open: anyone who reaches it calls the application, bypassing all rules",
						p.Name, s.Name), p.Pos).
					WithHint("remove mtls, so that the rules of %s apply to the port", s.Name))
			}
		}
	}
	return found
}

// privilegedPods finds services whose pods may go round their proxy.
func privilegedPods(m *subject) (found diag.List) {
	for _, s := range m.Services {
		if s.Workload.InCluster() && len(s.Proxy.Privileged) > 0 {
			found.Add(diag.New(diag.PrivilegedPod, "services."+s.Name+".proxy.privileged",
				fmt.Sprintf("the pods of %s may bypass or inspect their proxy, by %s", s.Name,
					strings.Join(s.Proxy.Privileged, ", ")), s.Pos).
				WithHint("remove privileged as soon as its pods no longer need it"))
		}
	}
	return found
}

// uncheckedTokens finds tokens that are asked for and need not be shown: what the rule
// lets in, another one lets in without; and issuers that no rule asks for.
func uncheckedTokens(m *subject) (found diag.List) {
	asked := map[string]bool{}
	rules(m.Mesh, func(s *guarded, list, path string, r *ir.Rule) {
		if r.JWT == nil {
			return
		}
		asked[r.JWT.Issuer] = true
		if list != "allow" || r.Audit {
			return
		}
		for i := range s.Allow {
			if wide := &s.Allow[i]; wide.JWT == nil && !wide.Audit && includes(wide, r) {
				found.Add(diag.New(diag.TokenUnchecked, path+".jwt",
					fmt.Sprintf("the token is not required: another rule of %s allows the same requests without one",
						s.Name), r.Pos, wide.Pos).
					WithHint("remove one of the rules, or narrow the wider one"))
				return
			}
		}
	})
	for _, i := range m.JWTIssuers {
		if !asked[i.Name] {
			found.Add(diag.New(diag.TokenUnchecked, "mesh.jwt.issuers."+i.Name,
				fmt.Sprintf("no rule requires tokens of %s, so they are not checked", i.Name), i.Pos).
				WithHint(`allow: [{from: …, jwt: issuer: %q}], or remove the issuer`, i.Name))
		}
	}
	return found
}

// includes reports whether all that a rule matches, apart from its token, another
// one matches too.
func includes(wide, r *ir.Rule) bool {
	covers := func(wide, narrow []string) bool {
		return len(wide) == 0 ||
			len(narrow) > 0 && !slices.ContainsFunc(narrow, func(v string) bool { return !slices.Contains(wide, v) })
	}
	paths := len(wide.Paths) == 0 || len(r.Paths) > 0 && !slices.ContainsFunc(r.Paths, func(p string) bool {
		return !slices.ContainsFunc(wide.Paths, func(w string) bool {
			prefix, below := strings.CutSuffix(w, "*")
			return w == p || below && strings.HasPrefix(p, prefix)
		})
	})
	callers := !slices.ContainsFunc(r.From, func(p ir.Peer) bool {
		return !slices.ContainsFunc(wide.From, func(w ir.Peer) bool {
			return w.String() == p.String() || w.Is(&p) && p.Kind != ir.KindPlaintext
		})
	})
	return callers && paths && covers(wide.Ports, r.Ports) && covers(wide.Hosts, r.Hosts) &&
		covers(wide.Methods, r.Methods) &&
		len(wide.Headers) == 0 && len(wide.IPRanges) == 0
}
