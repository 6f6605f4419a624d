package consul

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// permission is what is decided for some requests of a source. The first one that takes a request holds.
type permission struct {
	Action string          `json:"action"`
	HTTP   *httpPermission `json:"http"`
	JWT    *jwtRequirement `json:"jwt"`
}

type httpPermission struct {
	PathExact  string   `json:"pathExact"`
	PathPrefix string   `json:"pathPrefix"`
	PathRegex  string   `json:"pathRegex"`
	Methods    []string `json:"methods"`
	Header     []header `json:"header"`
}

// permissions writes the permissions of a source as rules. Denials win in the mesh, so those that no permission to
// allow follows are left out where the rest is denied, and one that follows such a permission takes from it.
func (m *reader) permissions(s *importer.Service, d *decision, from *spec.Peers, standard string) {
	list := slices.Clone(d.Permissions)
	for i, p := range list {
		if p.Action != allow && p.Action != deny {
			m.NotCarried(d.object, noAction, append(slices.Clone(d.at), "permissions", strconv.Itoa(i), "action")...)
		}
	}
	switch {
	case len(list) == 0 && d.Action != allow: // also of an action that there is not
		return
	case len(list) == 0: // with a token alone
		list = []permission{{Action: allow, HTTP: &httpPermission{}}}
	case standard == allow:
		list = append(list, permission{Action: allow, HTTP: &httpPermission{}})
	}
	for len(list) > 0 && list[len(list)-1].Action != allow {
		list = list[:len(list)-1]
	}
	allowed := false
	for i, p := range list {
		at := append(slices.Clone(d.at), "permissions", strconv.Itoa(i))
		if s.PortsOfHTTP() == 0 {
			m.NotCarried(d.object, "its service speaks no HTTP by its service-defaults or proxy-defaults, so nobody is let in for "+
				"it", at...)
			return
		}
		if p.HTTP == nil {
			p.HTTP = &httpPermission{}
		}
		if p.Action != allow {
			if allowed {
				m.NotCarried(d.object, "denials win in the mesh: it also denies what permissions before it allow", at...)
			}
			s.Spec.Deny = append(s.Spec.Deny, m.denial(d.object, p.HTTP, from, at))
			continue
		}
		allowed = true
		if rule := m.allowance(d, &p, from, at); rule != nil {
			s.Spec.Allow = append(s.Spec.Allow, rule...)
		}
	}
}

// denial is a rule that denies the requests of a permission, and more where the language cannot say them.
func (m *reader) denial(o *importer.Object, h *httpPermission, from *spec.Peers, at []string) *spec.Rule {
	out := &spec.Rule{From: from, Methods: written(h.Methods)}
	switch plain, _, starred := strings.Cut(h.PathExact+h.PathPrefix, "*"); {
	case starred:
		m.NotCarried(o, "a * in a path of a rule stands for others: it denies more, all below "+dirOr(dirOf(plain)), at...)
		if dir := dirOf(plain); dir != "" && dir != "/" {
			out.Paths = spec.WrittenAll(dir + "*")
		}
	case h.PathExact != "":
		out.Paths = spec.WrittenAll(h.PathExact)
	case h.PathPrefix != "" && h.PathPrefix != "/" || h.PathRegex != "":
		dir := dirOf(h.PathPrefix)
		if dir != h.PathPrefix || h.PathRegex != "" {
			m.NotCarried(o, "rules know whole segments of paths: it denies more, "+"all below "+dirOr(dir), at...)
		}
		if dir != "" && dir != "/" {
			out.Paths = spec.WrittenAll(dir + "*")
		}
	}
	var ok bool
	if out.Headers, ok = headers(h.Header, lower); !ok {
		m.NotCarried(o, "it asks for one header twice: it denies whatever the headers are", at...)
	}
	return out
}

// dirOf is a path up to its last slash.
func dirOf(path string) string { return path[:strings.LastIndex(path, "/")+1] }

func dirOr(dir string) string {
	if dir == "" {
		return "/"
	}
	return dir
}

// allowance are rules that let the requests of a permission in: one, or one for each provider of tokens. It is nil
// where the language cannot say them.
func (m *reader) allowance(d *decision, p *permission, from *spec.Peers, at []string) []*spec.Rule {
	h := p.HTTP
	rule := &spec.Rule{From: from, Methods: written(h.Methods)}
	switch {
	case strings.Contains(h.PathExact+h.PathPrefix, "*"):
		m.NotCarried(d.object, "a * in a path of a rule stands for others, so nobody is let in for it", at...)
		return nil
	case h.PathExact != "":
		rule.Paths = spec.WrittenAll(h.PathExact)
	case h.PathRegex != "":
		m.NotCarried(d.object, "rules have no regular expressions for paths, so nobody is let in for it", at...)
		return nil
	case h.PathPrefix == "" || h.PathPrefix == "/":
	case strings.HasSuffix(h.PathPrefix, "/"):
		rule.Paths = spec.WrittenAll(h.PathPrefix + "*")
	default:
		rule.Paths = spec.WrittenAll(h.PathPrefix, h.PathPrefix+"/*")
		m.NotCarried(d.object, "rules know whole segments of paths: "+h.PathPrefix+" and what is below it is let in, and not "+
			h.PathPrefix+"x", at...)
	}
	var ok bool
	if rule.Headers, ok = headers(h.Header, lower); !ok {
		m.NotCarried(d.object, "it asks for one header twice, so nobody is let in for it", at...)
		return nil
	}
	if d.jwt != nil && p.JWT != nil {
		m.NotCarried(d.object, "a rule asks for one token, so nobody is let in for it", at...)
		return nil
	}
	need := d.jwt
	if p.JWT != nil {
		need = p.JWT
	}
	if need == nil {
		return []*spec.Rule{rule}
	}
	var out []*spec.Rule
	for _, token := range m.tokens(d.object, need, at) {
		one := *rule
		one.JWT = token
		out = append(out, &one)
	}
	return out
}

func written(list []string) []spec.Field[string] {
	if len(list) == 0 {
		return nil
	}
	return spec.WrittenAll(list...)
}
