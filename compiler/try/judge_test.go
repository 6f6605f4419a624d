package try_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// judged is a mesh whose service "cart" and its route get what a case adds.
const judged = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1203: "-", MC1701: "-", MC1705: "-", MC1902: "-"}
	jwt: issuers: accounts: {issuer: "https://accounts.example", audiences: ["shop"], jwks: inline: #"{"keys": []}"#}
	externalAuthorization: guard: {service: "guard", port: "http"}
}
services: frontend: {workload: deployment: "frontend", uses: cart: {}}
services: guard: {workload: deployment: "guard", ports: http: {port: 8080, protocol: "http"}, allow: [{from: services: ["cart"]}, {from: gateways: ["public"]}]}
services: cart: {
	workload: deployment: "cart"
	ports: http: {port: 8080, protocol: "http"}
	versions: {v1: labels: v: "1", v2: labels: v: "2"}
	SERVICE
}
gateways: public: {
	listeners: https: {port: 443, hosts: ["shop.example"], tls: {secret: "shop", CLIENT}}
	routes: [{match: path: prefix: "/", to: [{service: "cart"}]}]
	uses: cart: {}
	GATEWAY
}
tests: "it": {from: FROM, request: {REQUEST}, expect: {EXPECT}}
`

// The rules of cart that a case may have.
const (
	allowsBoth = `allow: [{from: services: ["frontend"]}, {from: gateways: ["public"]}]`
	allowsGET  = `allow: [{from: services: ["frontend"], methods: ["GET"]}, {from: gateways: ["public"]}]`
)

// judgement is a test in a mesh, and how it is to end.
type judgement struct {
	title string
	// service is what cart has, request what the test's request has besides its address, and expect what it expects.
	service, request, expect string
	want                     try.Verdict
	// on is what decides when that is not known.
	on try.ConditionKind
	// more are other parts of the mesh by what stands there.
	more map[string]string
}

var judgements = []judgement{
	{
		title: "limit, let in", service: allowsBoth + ", rateLimit: {requests: 1, per: \"1s\"}", expect: "allowed: true",
		want: try.Undecided, on: try.OnRateLimit,
	},
	{
		title: "limit, let in but for the limit", service: allowsBoth + ", rateLimit: {requests: 1, per: \"1s\"}",
		expect: `allowed: true, unless: ["rateLimit"]`, want: try.Passes,
	},
	{
		title: "limit, surely not refused", service: allowsBoth + ", rateLimit: {requests: 1, per: \"1s\"}",
		expect: "allowed: false", want: try.Fails,
	},
	{
		title: "limit, refused by a rule", service: allowsGET + ", rateLimit: {requests: 1, per: \"1s\"}",
		request: `method: "PUT"`, expect: "allowed: false", want: try.Passes,
	},
	{
		title: "limit, surely not let in", service: allowsGET + ", rateLimit: {requests: 1, per: \"1s\"}",
		request: `method: "PUT"`, expect: "allowed: true", want: try.Fails,
	},
	{
		title: "limit of a route", service: allowsBoth + ", routes: [{rateLimit: {requests: 1, per: \"1s\"}}]",
		expect: "allowed: false", want: try.Fails,
	},
	{
		title: "limit of a route, let in", service: allowsBoth + ", routes: [{rateLimit: {requests: 1, per: \"1s\"}}]",
		expect: "allowed: true", want: try.Undecided, on: try.OnRateLimit,
	},
	{
		title:   "split, either",
		service: allowsBoth + ", routes: [{to: [{version: \"v1\", weight: 9}, {version: \"v2\", weight: 1}]}]",
		expect:  `allowed: true, service: "cart"`, want: try.Passes,
	},
	{
		title: "split, one", service: allowsBoth +
			", routes: [{to: [{version: \"v1\", weight: 9}, {version: \"v2\", weight: 1}]}]",
		expect: `allowed: true, version: "v2"`, want: try.Undecided, on: try.OnSplit,
	},
	{
		title:   "split, a service that none is of",
		service: allowsBoth + ", routes: [{to: [{version: \"v1\", weight: 9}, {version: \"v2\", weight: 1}]}]",
		expect:  `allowed: true, service: "guard"`, want: try.Fails,
	},
	{
		title:   "split, refused",
		service: allowsBoth + ", routes: [{to: [{version: \"v1\", weight: 9}, {version: \"v2\", weight: 1}]}]",
		expect:  `allowed: false`, want: try.Fails,
	},
	{
		title:   "split with no weight",
		service: allowsBoth + ", routes: [{to: [{version: \"v1\", weight: 9}, {version: \"v2\", weight: 0}]}]",
		expect:  `allowed: true, version: "v1"`, want: try.Passes,
	},
	{
		title: "fault, let in", service: allowsBoth + ", routes: [{fault: abort: {status: 503, percent: 10}}]",
		expect: "allowed: true", want: try.Undecided, on: try.OnFault,
	},
	{
		title:   "fault, let in but for the fault",
		service: allowsBoth + ", routes: [{fault: abort: {status: 503, percent: 10}}]",
		expect:  `allowed: true, unless: ["fault"]`, want: try.Passes,
	},
	{
		title: "fault, refused", service: allowsBoth + ", routes: [{fault: abort: {status: 503, percent: 10}}]",
		expect: "allowed: false", want: try.Fails,
	},
	{
		title: "fault of all", service: allowsBoth + ", routes: [{fault: abort: {status: 503, percent: 100}}]",
		expect: "allowed: false", want: try.Passes,
	},
	{
		title: "fault of gRPC of all", service: allowsBoth + ", routes: [{fault: abort: {grpcStatus: 14, percent: 100}}]",
		expect: "allowed: true", want: try.Fails,
	},
	{
		title:   "fault, and a limit that is left out",
		service: allowsBoth + ", rateLimit: {requests: 1, per: \"1s\"}, routes: [{fault: abort: {status: 503, percent: 10}}]", expect: `allowed: true, unless: ["rateLimit"]`, want: try.Undecided, on: try.OnFault,
	},
	{
		title: "delay", service: allowsBoth + ", routes: [{fault: delay: {for: \"1ms\", percent: 10}}]",
		expect: "allowed: true", want: try.Passes,
	},
	{
		title: "mirror", service: allowsBoth +
			", routes: [{mirror: {version: \"v2\", percent: 10}, to: [{version: \"v1\"}]}]",
		expect: `allowed: true, version: "v1"`, want: try.Passes,
	},
	{
		title: "retries", service: allowsBoth + ", retries: {attempts: 2, on: [\"5xx\"]}", expect: "allowed: true",
		want: try.Passes,
	},
	{
		title: "authorization, let in", service: allowsBoth + ", externalAuthorization: \"guard\"",
		expect: "allowed: true",
		want:   try.Undecided, on: try.OnAuthorization,
	},
	{
		title: "authorization, refused", service: allowsBoth + ", externalAuthorization: \"guard\"",
		expect: "allowed: false",
		want:   try.Undecided, on: try.OnAuthorization,
	},
	{
		title: "authorization, let in but for it", service: allowsBoth + ", externalAuthorization: \"guard\"",
		expect: `allowed: true, unless: ["authorization"]`, want: try.Passes,
	},
	{
		title: "authorization, surely not refused but by it", service: allowsBoth + ", externalAuthorization: \"guard\"",
		expect: `allowed: false, unless: ["authorization"]`, want: try.Fails,
	},
	{
		title: "authorization of what a rule refuses", service: allowsGET + ", externalAuthorization: \"guard\"",
		request: `method: "PUT"`, expect: "allowed: true", want: try.Fails,
	},
	{
		title: "authorization by the gateway", service: allowsBoth, expect: "allowed: true", want: try.Undecided,
		on: try.OnAuthorization, more: map[string]string{"GATEWAY": `externalAuthorization: "guard"`},
	},
	{
		title: "certificate", service: allowsBoth, expect: "allowed: true", want: try.Undecided, on: try.OnCertificate,
		more: map[string]string{"CLIENT": `clientCertificates: secret: "partners"`},
	},
	{
		title: "certificate, let in but for it", service: allowsBoth, expect: `allowed: true, unless: ["certificate"]`,
		want: try.Passes, more: map[string]string{"CLIENT": `clientCertificates: secret: "partners"`},
	},
	{
		title:   "address, let in",
		service: `allow: [{from: {services: ["frontend"], ipRanges: ["10.0.0.0/8"]}}, {from: gateways: ["public"]}]`, expect: "allowed: true", want: try.Undecided, on: try.OnAddress,
	},
	{
		title:   "address, all of them",
		service: `allow: [{from: {services: ["frontend"], ipRanges: ["0.0.0.0/1", "128.0.0.0/1", "::/0"]}}, {from: gateways: ["public"]}]`, expect: "allowed: true", want: try.Passes,
	},
	{
		title:   "address, denied and allowed",
		service: allowsBoth + `, deny: [{from: {services: ["frontend"], ipRanges: ["10.0.0.0/8", "10.1.0.0/16"]}}]`,
		expect:  "allowed: false", want: try.Undecided, on: try.OnAddress,
	},
	{
		title:   "address, no matter which",
		service: `allow: [{from: {services: ["frontend"], ipRanges: ["10.0.0.0/8"]}}, {from: services: ["frontend"]}, {from: gateways: ["public"]}]`, expect: "allowed: true", want: try.Passes,
	},
	{
		title:   "header of proxies",
		service: `allow: [{from: services: ["frontend"], headers: "x-request-id": prefix: "a"}, {from: gateways: ["public"]}]`, expect: "allowed: false", want: try.Undecided, on: try.OnHeader,
	},
	{
		title:   "header of proxies, in a route",
		service: allowsBoth + `, routes: [{match: headers: "user-agent": prefix: "a", directResponse: status: 403}, {}]`,
		expect:  "allowed: true", want: try.Undecided, on: try.OnHeader,
	},
	{
		title:   "header of proxies, the same in both",
		service: allowsBoth + `, routes: [{match: headers: "user-agent": prefix: "a", to: [{version: "v1"}]}, {to: [{version: "v2"}]}]`, expect: "allowed: true", want: try.Passes,
	},
	{
		title:   "token in a header",
		service: `allow: [{from: services: ["frontend"], jwt: {issuer: "accounts", claims: role: ["buyer"]}}, {from: gateways: ["public"]}]`, request: `headers: authorization: "Bearer x"`, expect: "allowed: true", want: try.Undecided, on: "token token",
	},
	{
		title:   "token in a header, no matter which",
		service: `allow: [{from: services: ["frontend"], methods: ["PUT"], jwt: {issuer: "accounts", claims: role: ["buyer"]}}]`, request: `headers: authorization: "Bearer x"`, expect: "allowed: true", want: try.Fails, more: map[string]string{"uses: cart: {}\n\tGATEWAY": "", "routes: [{match": "routes: [{directResponse: status: 404, match", `, to: [{service: "cart"}]`: ""},
	},
	{
		title: "body that a test has not", service: allowsBoth + ", routes: [{maxRequestBytes: 10}]",
		expect: "allowed: true",
		want:   try.Passes,
	},
	{
		title: "character that is in no path", service: allowsBoth, request: `path: "/a\u00e9b"`, expect: "allowed: true",
		want: try.Undecided, on: try.OnPath,
	},
	{
		title: "rule that only tells", service: allowsBoth + `, deny: [{from: services: ["frontend"], mode: "audit"}]`,
		expect: "allowed: true", want: try.Passes,
	},
}

// spec is the mesh with the test. It is from the gateway where the case is about one, else from frontend.
func (c judgement) spec() string {
	from, request := `service: "frontend"`, `to: "cart"`
	if c.more["GATEWAY"]+c.more["CLIENT"] != "" {
		from, request = `gateway: "public"`, `host: "shop.example"`
	}
	if !strings.Contains(c.request, "path:") {
		request += `, path: "/"`
	}
	if c.request != "" {
		request += ", " + c.request
	}
	text := judged
	for was, is := range c.more {
		text = strings.ReplaceAll(text, was, is)
	}
	return strings.NewReplacer("SERVICE", c.service, "FROM", from, "REQUEST", request, "EXPECT", c.expect,
		"GATEWAY", "", ", CLIENT", "").Replace(text)
}

// TestJudge has tests whose requests may end in several ways, of each sort of condition: fails when none is as
// expected, passes when all are, else undecided, with what decides.
func TestJudge(t *testing.T) {
	for _, c := range judgements {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": c.spec()})
			m := cmp.Or(r.Mesh, r.Failing)
			if m == nil {
				t.Fatalf("%+v", r.Diagnostics)
			}
			j, err := try.Judge(m, m.Tests[0])
			if err != nil {
				t.Fatal(err)
			}
			var on []string
			for _, d := range j.DependsOn {
				on = append(on, string(d.Kind))
			}
			if j.Verdict != c.want || strings.Join(on, " ") != string(c.on) {
				t.Errorf("%s, depending on %q, want %s, %q; outcomes %+v", j.Verdict, on, c.want, c.on, j.Outcomes)
			}
			if failing := r.Failing != nil; failing != (c.want == try.Fails) {
				t.Errorf("the compiler found %+v", r.Diagnostics)
			}
		})
	}
}

// TestOutcomesHoldTheTrial puts random requests to random meshes: one of their outcomes is the one that a trial tells,
// and where nothing is undecided there are no others but by weights.
func TestOutcomesHoldTheTrial(t *testing.T) {
	const limited = "rateLimit: {requests: 5, per: \"1s\"}\n\t"
	compared, several := 0, 0
	for n := range uint64(30) {
		g := &trytest.Random{Rand: rand.New(rand.NewPCG(15, n)), Keys: `"{\"keys\": []}"`}
		r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": strings.ReplaceAll(g.Spec().
			Text(), "ports: http:", limited+"ports: http:")})
		if r.Mesh == nil {
			continue
		}
		for range 60 {
			request, _ := g.Request(func(string, map[string]any) string { return "" })
			trial, err := try.Try(r.Mesh, request)
			if err != nil {
				t.Fatal(err)
			}
			outcomes, whole, err := try.Outcomes(r.Mesh, request)
			if err != nil {
				t.Fatal(err)
			}
			compared++
			if len(trial.Undecided) > 0 {
				several++
			} else if want := max(1, len(trial.Reaches)); !whole || len(outcomes) != want {
				t.Errorf("%s: %d outcomes, want %d", request.Command(), len(outcomes), want)
			}
			if !slices.ContainsFunc(outcomes, func(o try.Outcome) bool { return same(trial, &o) }) {
				t.Errorf("%s: %s, and the outcomes are %+v", request.Command(), trial.Outcome(), outcomes)
			}
		}
	}
	if compared < 300 || several == 0 {
		t.Errorf("%d requests, %d of which depend on something", compared, several)
	}
}

// same reports whether an outcome is the trial's, or one of those that weights choose between.
func same(t *try.Trial, o *try.Outcome) bool {
	if t.Answer != nil {
		return o.Answer != nil && *t.Answer == *o.Answer
	}
	return o.Reach != nil && slices.Contains(t.Reaches, *o.Reach)
}

// TestOutcomesAreBounded has more combinations than are followed: such a test is never decided.
func TestOutcomesAreBounded(t *testing.T) {
	var rules []string
	for i := range 12 {
		rules = append(rules, fmt.Sprintf(`{from: services: ["frontend"], headers: "x-request-id": exact: "%d"}`, i))
	}
	text := strings.NewReplacer("SERVICE",
		`allow: [{from: services: ["frontend"]}, {from: gateways: ["public"]}], deny: [`+strings.Join(rules, ", ")+`]`,
		"FROM", `service: "frontend"`, "REQUEST", `to: "cart", path: "/"`, "EXPECT", "allowed: true", "GATEWAY", "",
		", CLIENT", "").Replace(judged)
	m := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text}).Mesh
	j, err := try.Judge(m, m.Tests[0])
	if err != nil || j.Verdict != try.Undecided || len(j.Outcomes) > 600 {
		t.Errorf("%+v, %v", j, err)
	}
}
