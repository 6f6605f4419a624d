// Package doctor finds the first cause of an incident: it reads what meshc serve, the proxies, the spec and its history
// tell, explains what deviates by causes, and names the one without which the rest would end.
//
// What can be learnt are [Observations], each from one reader and each of which may be absent. Of their numbers come
// symptoms: what fails on an edge, how often, since when ([symptom]). Every cause of docs/doctor-causes.md is looked
// for by a function that says what it explains ([candidate]). The topology of the mesh adds what follows from that: a
// failing leaf explains its callers. The candidate that explains most wins, and of those that explain as much the one
// that is known most directly ([choose]).
package doctor

import (
	"time"
)

// Report is the answer of the doctor.
type Report struct {
	Verdict  Verdict    `json:"verdict"`
	Evidence []Evidence `json:"evidence"`
	Blast    Blast      `json:"blast"`
	// Changes are those of the spec since shortly before it began, in words; the newest last.
	Changes []string `json:"changes"`
	// Next is the command that shows more.
	Next string `json:"next"`
	// Since is when the first symptom of the cause was seen; the time of the report where nothing is wrong.
	Since time.Time `json:"since"`
}

// Verdict is the first cause.
type Verdict struct {
	Cause Cause `json:"cause"`
	// Subject is "service NAME", "gateway NAME", "external NAME", "edge CALLER -> CALLEE" or "mesh".
	Subject string `json:"subject"`
	Text    string `json:"text"`
	// Position is FILE:LINE in the spec, empty where no line of it is the cause.
	Position string `json:"position"`
	Party    Party  `json:"party"`
	// Commit is the last one that changed the file of Position, and Owners are those of the file.
	Commit string   `json:"commit,omitempty"`
	Owners []string `json:"owners,omitempty"`
}

// Evidence is an observation, and the command that shows it.
type Evidence struct {
	Text    string `json:"text"`
	Command string `json:"command"`
}

// Blast is how far it goes: the edges on which something fails, "CALLER -> CALLEE", and the members that call
// what fails, also through others.
type Blast struct {
	Edges   []string `json:"edges"`
	Callers []string `json:"callers"`
}

// Cause is the id of a cause.
type Cause string

// The causes, as docs/doctor-causes.md describes them.
const (
	RuleRemoved              Cause = "rule-removed"
	RouteHidden              Cause = "route-hidden"
	VersionEmpty             Cause = "version-empty"
	TimeoutTooShort          Cause = "timeout-too-short"
	RateLimited              Cause = "rate-limited"
	BurstAboveLimits         Cause = "burst-above-limits"
	ProtocolMismatch         Cause = "protocol-mismatch"
	PlaintextClient          Cause = "plaintext-client"
	StaleEndpoints           Cause = "stale-endpoints"
	NoInstances              Cause = "no-instances"
	InstancesRejoined        Cause = "instances-rejoined"
	EndpointsFlapping        Cause = "endpoints-flapping"
	EndpointsDelayed         Cause = "endpoints-delayed"
	EndpointsFileBlank       Cause = "endpoints-file-blank"
	EndpointsFileOversized   Cause = "endpoints-file-oversized"
	InstanceFailing          Cause = "instance-failing"
	ZoneFailing              Cause = "zone-failing"
	VersionWorse             Cause = "version-worse"
	DNSFailed                Cause = "dns-failed"
	ProxyDead                Cause = "proxy-dead"
	ConfigurationCrashes     Cause = "configuration-crashes-proxy"
	ProxyOld                 Cause = "proxy-old"
	StreamWithoutUpdates     Cause = "stream-without-updates"
	ServerStarved            Cause = "server-starved"
	IssuerNotReloaded        Cause = "issuer-not-reloaded"
	ClockWrong               Cause = "clock-wrong"
	SlowApplication          Cause = "slow-application"
	ApplicationErrors        Cause = "application-errors"
	ClientErrors             Cause = "client-errors"
	JWKSUnreachable          Cause = "jwks-unreachable"
	AuthorizationUnreachable Cause = "authorization-unreachable"
	ConfigurationRefused     Cause = "configuration-refused"
	SpecWrong                Cause = "spec-wrong"
	Nothing                  Cause = "nothing"
	// Unknown is for symptoms that no cause explains.
	Unknown Cause = "unknown"
)

// Party is who has to act.
type Party string

// The parties.
const (
	ByMesh        Party = "mesh"
	ByApplication Party = "application"
	ByClient      Party = "client"
	ByOutside     Party = "outside"
	ByNobody      Party = "nothing"
)

// Known reports whether a cause was found, and Good whether nothing is wrong.
func (r *Report) Known() bool { return r.Verdict.Cause != Unknown }

// Good reports whether nothing is wrong.
func (r *Report) Good() bool { return r.Verdict.Cause == Nothing }

// Examine finds the first cause of what the observations show; name restricts it to what concerns one member, and is
// empty for the whole mesh.
func Examine(o *Observations, name string) *Report {
	p := newPatient(o, name)
	var found []candidate
	for _, look := range lookers {
		found = append(found, look(p)...)
	}
	best := p.choose(found)
	switch {
	case best != nil:
		return p.report(best)
	case len(p.symptoms) > 0:
		return p.unexplained()
	case o.Server == nil || o.Server.Edges == nil:
		return p.unheard()
	}
	return p.healthy()
}

// lookers look for causes, by family.
var lookers = []func(*patient) []candidate{
	theServer, refusedConfigurations, deadProxies, silentStreams, delayedEndpoints, endpointFiles, certificates,
	removedRules, hiddenRoutes, answeringRoutes, emptyVersions, shortTimeouts, limits, protocols, plaintext, keys,
	authorization,
	instanceLists, failingInstances, failingZones, worseVersions, names,
	slowApplications, failingApplications, wrongRequests,
}
