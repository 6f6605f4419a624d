package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// externalWildcard is a host of an external that stands for all names below a domain. Proxies look up the one that is
// asked for, so every connection must say it, and none may be a name of the cluster.
func (l *linker) externalWildcard(here place, written string, s *spec.External, pos source.Position) string {
	host := l.host(here, written, pos)
	domain := strings.TrimPrefix(host, "*.")
	why, hint := "", "name the hosts that are called"
	switch cluster := l.mesh.DNSDomain(); {
	case !strings.Contains(domain, "."):
		why = "stands for a whole top-level domain, or for all services of a namespace"
	case strings.HasSuffix("."+domain, ".svc"), strings.HasSuffix("."+domain, "."+cluster),
		ir.HostCovers(host, cluster):
		why, hint = "has the services of the cluster", "name services in uses, each by its name"
	case l.wildcardForbidden(domain) != "":
		why = "has a name below it that " + l.wildcardForbidden(domain)
	case s.TLS != nil && s.TLS.ServerName.IsSet():
		why, hint = "stands for many names, and tls.serverName is one", "move it to an external of its own"
	}
	for _, name := range sortedKeys(s.Ports) {
		if protocol := ir.Protocol(s.Ports[name].Protocol.Value); protocol == ir.TCP || protocol == ir.UDP {
			what := map[ir.Protocol]string{ir.TCP: "connections", ir.UDP: "datagrams"}[protocol]
			why = fmt.Sprintf("is told by a name, which %s of port %s (%s) do not say", what, name, protocol)
			hint = `move the port to an external with the hosts that are called`
		}
	}
	if why != "" {
		l.add(diag.ExternalWildcard, here, fmt.Sprintf("%s %s", host, why), pos).hint("%s", hint)
	}
	return host
}

// standsForMany reports whether a host of an external is a wildcard.
func standsForMany(hosts []spec.Field[string]) bool {
	return slices.ContainsFunc(hosts, func(f spec.Field[string]) bool { return strings.HasPrefix(f.Value, "*") })
}

// wildcardForbidden says what a name below a domain is to which no proxy may be led; empty where there is none that is
// known.
func (l *linker) wildcardForbidden(domain string) string {
	for _, name := range sortedKeys(forbiddenHosts) {
		if strings.HasSuffix(name, "."+domain) {
			return forbiddenHosts[name]
		}
	}
	return l.forbidden("any." + domain)
}
