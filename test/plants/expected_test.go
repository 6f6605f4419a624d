//go:build e2e

package plants

import "strings"

// expected is what is right for each plant, whatever the doctor says. The causes are those of docs/doctor-causes.md,
// whose names the plants have.
var expected = map[string]expectation{
	// Where no rule is left that would have to be changed, the callee and its other rules say so.
	"rule-removed": stands("stock.cue", "services: stock:", "allow: [", `{name: "items", from`, `name: "reports"`).
		concerns("edge batch -> stock"),
	"route-hidden":       stands("catalog.cue", `name: "moved"`).concerns("service catalog"),
	"version-empty":      stands("search.cue", "TARGET: labels", `[{version: "TARGET"}]`).concerns("service search"),
	"timeout-too-short":  stands("TARGET.cue", `timeout: "5ms"`).concerns("service catalog", "edge web -> catalog"),
	"rate-limited":       stands("quota.cue", "rateLimit:").concerns("service quota"),
	"burst-above-limits": stands("vault.cue", "connections:").concerns("service vault"),
	"plaintext-client":   stands("account.cue", "port: 7074").concerns("service account"),
	"protocol-mismatch":  stands("search.cue", `protocol: "http2"`).concerns("service search"),

	"stale-endpoints":          stands("catalog.cue", "workload:").concerns("service catalog"),
	"no-instances":             stands("catalog.cue", "workload:").concerns("service catalog"),
	"instances-rejoined":       stands("catalog.cue", "workload:").concerns("service catalog"),
	"endpoints-file-blank":     stands("catalog.cue", "workload:").concerns("service catalog"),
	"endpoints-file-oversized": stands("catalog.cue", "workload:").concerns("service catalog"),
	"instance-failing":         nowhere.concerns("service catalog"),
	"zone-failing":             nowhere.concerns("mesh"),
	"version-worse":            stands("search.cue", "TARGET: labels", `[{version: "TARGET"}]`).concerns("service search"),

	"proxy-dead":                  nowhere.concerns("service TARGET"),
	"configuration-crashes-proxy": stands("quota.cue", "requests: 45").concerns("service quota"),
	"clock-wrong":                 nowhere.concerns("service quota"),
	"stream-without-updates":      nowhere.concerns("service stock"),
	"issuer-not-reloaded":         nowhere.concerns("service quota"),

	"slow-application":          nowhere.concerns("service stock"),
	"application-errors":        nowhere.concerns("service TARGET"),
	"client-errors":             nowhere.concerns("edge batch -> stock"),
	"jwks-unreachable":          stands("mesh.cue", "jwt: issuers: accounts:", "jwks:").concerns("service account"),
	"authorization-unreachable": stands("vault.cue", "externalAuthorization:").concerns("service vault"),
	"nothing":                   nowhere.concerns("mesh"),
}

// expectation is what is right for a plant: one of the subjects, and one of the lines of the spec, which are named by a
// text of the spec as it is with the plant. TARGET stands for what the plant chose.
type expectation struct {
	subjects []string
	file     string
	lines    []string
}

func stands(file string, lines ...string) expectation { return expectation{file: file, lines: lines} }

// nowhere is for what no line of the spec is the cause of.
var nowhere expectation

func (e expectation) concerns(subjects ...string) expectation {
	e.subjects = subjects
	return e
}

// targeted puts what the plant chose into a text.
func targeted(text, of string) string { return strings.ReplaceAll(text, "TARGET", of) }
