//go:build e2e

package plants

import "strings"

// expected is what is right for each plant, whatever the doctor says. The causes are those of docs/doctor-causes.md,
// whose names the plants have.
var expected = map[string]expectation{
	// Where no rule is left that would have to be changed, the callee and its other rules say so.
	"rule-removed": at("stock.cue", "services: stock:", "allow: [", `{name: "items", from`, `name: "reports"`).
		of("edge batch -> stock"),
	"route-hidden":       at("catalog.cue", `name: "moved"`).of("service catalog"),
	"version-empty":      at("search.cue", "TARGET: labels", `[{version: "TARGET"}]`).of("service search"),
	"timeout-too-short":  at("TARGET.cue", `timeout: "5ms"`).of("service catalog", "edge web -> catalog"),
	"rate-limited":       at("quota.cue", "rateLimit:").of("service quota"),
	"burst-above-limits": at("vault.cue", "connections:").of("service vault"),
	"plaintext-client":   at("account.cue", "port: 7074").of("service account"),
	"protocol-mismatch":  at("search.cue", `protocol: "http2"`).of("service search"),

	"stale-endpoints":          at("catalog.cue", "workload:").of("service catalog"),
	"no-instances":             at("catalog.cue", "workload:").of("service catalog"),
	"instances-rejoined":       at("catalog.cue", "workload:").of("service catalog"),
	"endpoints-file-blank":     at("catalog.cue", "workload:").of("service catalog"),
	"endpoints-file-oversized": at("catalog.cue", "workload:").of("service catalog"),
	"instance-failing":         nowhere.of("service catalog"),
	"zone-failing":             nowhere.of("mesh"),
	"version-worse":            at("search.cue", "TARGET: labels", `[{version: "TARGET"}]`).of("service search"),

	"proxy-dead":                  nowhere.of("service TARGET"),
	"configuration-crashes-proxy": at("quota.cue", "requests: 45").of("service quota"),
	"clock-wrong":                 nowhere.of("service quota"),
	"stream-without-updates":      nowhere.of("service stock"),
	"issuer-not-reloaded":         nowhere.of("service quota"),

	"slow-application":          nowhere.of("service stock"),
	"application-errors":        nowhere.of("service TARGET"),
	"client-errors":             nowhere.of("edge batch -> stock"),
	"jwks-unreachable":          at("mesh.cue", "jwt: issuers: accounts:", "jwks:").of("service account"),
	"authorization-unreachable": at("vault.cue", "externalAuthorization:").of("service vault"),
	"nothing":                   nowhere.of("mesh"),
}

// expectation is what is right for a plant: one of the subjects, and one of the lines of the spec, which are named by a
// text of the spec as it is with the plant. TARGET stands for what the plant chose.
type expectation struct {
	subjects []string
	file     string
	lines    []string
}

func at(file string, lines ...string) expectation { return expectation{file: file, lines: lines} }

// nowhere is for what no line of the spec is the cause of.
var nowhere expectation

func (e expectation) of(subjects ...string) expectation {
	e.subjects = subjects
	return e
}

// targeted puts what the plant chose into a text.
func targeted(text, of string) string { return strings.ReplaceAll(text, "TARGET", of) }
