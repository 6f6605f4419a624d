package diff

import (
	"encoding/json"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/values"
)

// kindOfField is what kind of effect it is that a field differs which requests do not show, by the kind of member (or
// meshSettings) and the path of the field: the first of weights that begins it, where "*" stands for one name.
func kindOfField(member ir.MemberKind, path string, f *values.Field) Kind {
	for _, w := range weights {
		if w.member != "" && w.member != member || !begins(w.path, path) {
			continue
		}
		if w.weigh != nil {
			return w.weigh(f)
		}
		return w.kind
	}
	return Setting
}

// meshSettings is in place of a member's kind for fields of the mesh.
const meshSettings ir.MemberKind = "mesh"

// weights are of the fields that are more than a setting.
var weights = []struct {
	member ir.MemberKind
	path   string
	kind   Kind
	weigh  func(*values.Field) Kind
}{
	{member: meshSettings, path: "maxAttempts", kind: Gate},
	{member: meshSettings, path: "maxSeries", kind: Gate},
	{member: meshSettings, path: "images", kind: Deployment},
	{member: meshSettings, path: "flux", kind: Deployment},
	{member: meshSettings, path: "delivery", kind: Deployment},
	{member: meshSettings, path: "name", kind: Identity}, // whom the proxies take for meshc serve
	{member: meshSettings, path: "server.pods", kind: Setting},
	{member: meshSettings, path: "server", kind: Protection},
	{member: meshSettings, path: "metrics", kind: Protection},   // who reads them
	{member: meshSettings, path: "operators", kind: Protection}, // who sees the requests of others
	{member: ir.KindService, path: "createService", kind: Deployment},
	{path: "proxy.metricsPort", kind: Protection},
	{path: "proxy.drainTime", kind: Protection}, // how long a connection outlives the right to it
	{member: meshSettings, path: "rateLimit.failClosed", weigh: lets("false")},
	{member: meshSettings, path: "rateLimit.service", kind: Protection}, // it is told of requests, and refuses them
	{member: meshSettings, path: "rateLimit.port", kind: Protection},

	// What of an instance is reached, and as whom it speaks.
	{member: ir.KindService, path: "ports.*.target", kind: NewlyAllowed},
	{member: ir.KindService, path: "ports.*.upgrades", kind: NewlyAllowed},
	{member: ir.KindService, path: "workload", kind: Identity},
	{member: ir.KindService, path: "versions.*.workload", kind: Identity},
	{member: ir.KindService, path: "versions", weigh: ofPods},
	{member: ir.KindService, path: "rateLimit", kind: Handled},
	{path: "proxy.excludeInboundPorts", kind: NewlyAllowed},
	{path: "proxy.interception", kind: NewlyAllowed},
	{member: ir.KindService, path: "explicit", kind: NewlyAllowed},
	{member: ir.KindService, path: "plaintext", kind: Protection},
	{path: "proxy.server", kind: Protection},
	{path: "proxy.requests", kind: Protection},
	{path: "proxy.privileged", kind: Protection},
	{path: "proxy.passUndeclared", weigh: lets("true")},
	{path: "proxy.image", kind: Deployment},
	{path: "proxy.excludeOutboundPorts", kind: Protection},
	{path: "proxy.excludeOutboundRanges", kind: Protection},
	{path: "proxy.certificateDirectory", kind: Identity},
	{path: "proxy.secretDirectory", kind: Identity},

	{member: ir.KindGateway, path: "listeners.*.tls.secret", kind: Identity},
	{member: ir.KindGateway, path: "listeners.*.tls", kind: Protection},
	{member: ir.KindGateway, path: "listeners.*.clientIPDetection", kind: Protection},
	{member: ir.KindGateway, path: "listeners.*.http3", kind: NewlyAllowed},
	{member: ir.KindGateway, path: "listeners.*.protocol", kind: Protection},
	{member: ir.KindGateway, path: "address", kind: NewlyAllowed},
	{member: ir.KindGateway, path: "clients", kind: Identity},
	{member: ir.KindGateway, path: "apiKeyHeader", kind: Identity},
	{member: ir.KindGateway, path: "rateLimits", kind: Handled},

	{member: ir.KindExternal, path: "ports.*.protocol", kind: Protection},
	{member: ir.KindExternal, path: "via", kind: Protection},
	{member: ir.KindExternal, path: "roots", kind: Protection},
	{member: ir.KindExternal, path: "serverName", kind: Protection},
	{member: ir.KindExternal, path: "secret", kind: Identity},
	{member: ir.KindExternal, path: "ports.*.upgrades", kind: NewlyAllowed},
	{member: ir.KindExternal, path: "local", kind: Protection},
	{member: ir.KindExternal, path: "hosts", kind: Rerouted},
	{member: ir.KindExternal, path: "ports", kind: Rerouted},
	{member: ir.KindExternal, path: "endpoints", kind: Rerouted},

	// Who somebody is, and how that is certified.
	{path: "identity", kind: Identity},
	{path: "account", kind: Identity},
	{path: "namespace", kind: Identity},
	{path: "trustDomain", kind: Identity},
	{path: "certificates", kind: Identity},
	{path: "trustDomains", kind: Identity},
	{path: "jwtIssuers", kind: Identity},
	{path: "externalAuthorization.*.failOpen", weigh: lets("true")},
	{path: "externalAuthorization", kind: Identity},
}

// lets weighs a field that lets requests in, which were refused, when it has that value.
func lets(value string) func(*values.Field) Kind {
	return func(f *values.Field) Kind {
		if f.New == value {
			return NewlyAllowed
		}
		return NewlyDenied
	}
}

// ofPods weighs a version that comes or goes: with a workload of its own, other pods have the identity.
func ofPods(f *values.Field) Kind {
	for _, version := range []string{f.Old, f.New} {
		var v ir.Version
		if json.Unmarshal([]byte(version), &v) == nil && v.Workload != "" {
			return Identity
		}
	}
	return Rerouted
}

// begins reports whether a path is of the pattern, or below.
func begins(pattern, path string) bool {
	names := strings.Split(path, ".")
	for i, want := range strings.Split(pattern, ".") {
		if i >= len(names) || want != "*" && want != names[i] {
			return false
		}
	}
	return true
}
