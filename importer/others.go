package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// traffic are the suffixes of API groups whose objects configure traffic or authorization.
var traffic = []string{
	"istio.io", "gateway.networking.k8s.io", "x-k8s.io", "envoyproxy.io", "linkerd.io", "consul.hashicorp.com",
	"kuma.io",
	"cilium.io", "traefik.io", "projectcontour.io", "konghq.com", "solo.io", "nginx.org", "networking.k8s.io",
}

// Others adds findings for objects that configure traffic and that the caller does not read. The map kinds has the
// API group of each kind that it reads, or several with a comma between them. The map readBy has, by API group, the
// command that reads objects of other groups.
func (m *Mesh) Others(objects []*Object, kinds map[string]string, readBy map[string]string) {
	for _, o := range objects {
		group := o.Group()
		want, known := kinds[o.Kind]
		groups := strings.Split(want, ",")
		switch {
		case known && slices.Contains(groups, group):
		case known && (group == "" || family(group) == family(groups[0])):
			m.Add(o, diag.BadObject, fmt.Sprintf("apiVersion is %s, and a %s is of %s", o.APIVersion, o.Kind, want),
				"apiVersion")
		case o.Kind == "NetworkPolicy" ||
			!slices.ContainsFunc(traffic, func(end string) bool { return strings.HasSuffix(group, end) }):
		default:
			why := "meshc does not read this kind"
			if by := readBy[group]; by != "" {
				why = by + " reads it"
			}
			if strings.Contains(o.Kind, "Policy") || strings.Contains(o.Kind, "Authentication") ||
				strings.Contains(o.Kind, "Authorization") {
				m.LetsMore(o, why)
			} else {
				m.NotCarried(o, why)
			}
		}
	}
}

// family returns the domain that a group belongs to, for example "istio.io".
func family(group string) string {
	parts := strings.Split(group, ".")
	return strings.Join(parts[max(0, len(parts)-2):], ".")
}

// Matches reports whether a value matches a pattern: an exact value, a value with "*" at one end, or "*" for every
// value.
func Matches(pattern, value string) bool {
	switch {
	case pattern == "*":
		return value != ""
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(value, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(value, pattern[:len(pattern)-1])
	}
	return pattern == value
}
