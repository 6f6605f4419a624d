package diff

import (
	"encoding/json"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/values"
)

// kindOfField is what kind of effect it is that a field differs which requests do not show, by the member ("service",
// "gateway", "external" or "mesh") and the path of the field: the first of weights that begins it, where "*" stands
// for one name.
func kindOfField(member, path string, f *values.Field) Kind {
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

// weights are of the fields that are more than a setting.
var weights = []struct {
	member, path string
	kind         Kind
	weigh        func(*values.Field) Kind
}{
	{member: "mesh", path: "maxAttempts", kind: Gate},
	{member: "mesh", path: "images", kind: Deployment},
	{member: "mesh", path: "flux", kind: Deployment},
	{member: "mesh", path: "delivery", kind: Deployment},
	{member: "mesh", path: "name", kind: Identity}, // whom the proxies take for meshc serve
	{member: "mesh", path: "server", kind: Protection},
	{member: "mesh", path: "metrics", kind: Protection},   // who reads them
	{member: "mesh", path: "operators", kind: Protection}, // who sees the requests of others
	{path: "proxy.metricsPort", kind: Protection},
	{path: "proxy.drainTime", kind: Protection}, // how long a connection outlives the right to it
	{member: "mesh", path: "rateLimit.failClosed", weigh: lets("false")},
	{member: "mesh", path: "rateLimit.service", kind: Protection}, // it is told of requests, and refuses them
	{member: "mesh", path: "rateLimit.port", kind: Protection},

	// What of an instance is reached, and as whom it speaks.
	{member: "service", path: "ports.*.target", kind: NewlyAllowed},
	{member: "service", path: "ports.*.upgrades", kind: NewlyAllowed},
	{member: "service", path: "workload", kind: Identity},
	{member: "service", path: "versions.*.workload", kind: Identity},
	{member: "service", path: "versions", weigh: ofPods},
	{member: "service", path: "rateLimit", kind: Handled},
	{path: "proxy.excludeInboundPorts", kind: NewlyAllowed},
	{path: "proxy.interception", kind: NewlyAllowed},
	{member: "service", path: "explicit", kind: NewlyAllowed},
	{member: "service", path: "plaintext", kind: Protection},
	{path: "proxy.server", kind: Protection},
	{path: "proxy.requests", kind: Protection},
	{path: "proxy.privileged", kind: Protection},
	{path: "proxy.excludeOutboundPorts", kind: Protection},
	{path: "proxy.excludeOutboundRanges", kind: Protection},
	{path: "proxy.certificateDirectory", kind: Identity},
	{path: "proxy.secretDirectory", kind: Identity},

	{member: "gateway", path: "listeners.*.tls.secret", kind: Identity},
	{member: "gateway", path: "listeners.*.tls", kind: Protection},
	{member: "gateway", path: "listeners.*.clientIPDetection", kind: Protection},
	{member: "gateway", path: "listeners.*.http3", kind: NewlyAllowed},
	{member: "gateway", path: "listeners.*.protocol", kind: Protection},
	{member: "gateway", path: "address", kind: NewlyAllowed},

	{member: "external", path: "ports.*.protocol", kind: Protection},
	{member: "external", path: "via", kind: Protection},
	{member: "external", path: "roots", kind: Protection},
	{member: "external", path: "local", kind: Protection},
	{member: "external", path: "hosts", kind: Rerouted},
	{member: "external", path: "ports", kind: Rerouted},
	{member: "external", path: "endpoints", kind: Rerouted},

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
