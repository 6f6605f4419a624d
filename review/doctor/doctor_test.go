package doctor

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// TestCauses gives the doctor numbers and states of each cause, most with what follows from it at the callers, and
// wants the cause, its subject, its line and who has to act.
func TestCauses(t *testing.T) {
	for _, c := range causesOf() {
		t.Run(c.name, func(t *testing.T) {
			w := healthy(t, compiled(t, shop))
			c.ill(t, w)
			got := Examine(w.Observations, c.of)
			v := got.Verdict
			v.Text = ""
			if !reflect.DeepEqual(v, c.want) {
				t.Errorf("it is %+v", v)
			}
			if v.Cause != Nothing && (len(got.Evidence) == 0 || got.Next == "" || got.Verdict.Text == "") {
				t.Errorf("%+v has no evidence or no next command", got)
			}
		})
	}
}

type illness struct {
	name string
	ill  func(t *testing.T, w *ward)
	of   string // the member that is asked about
	want Verdict
}

func causesOf() []illness {
	return slices.Concat(specIllnesses(), instanceIllnesses(), deliveryIllnesses(), identityIllnesses(),
		otherIllnesses())
}

func specIllnesses() []illness {
	return []illness{
		{"a rule was removed, and the caller fails", func(t *testing.T, w *ward) {
			w.before(t, strings.Replace(shop, `{from: services: ["web"], methods: ["GET"]}`,
				`{from: services: ["web"], methods: ["GET", "PUT"]}`, 1))
			w.denies(t, "web -> cart")
			w.fails(t, "edge -> web", 500, "-")
		}, "", Verdict{
			Cause: RuleRemoved, Subject: "edge web -> cart", Position: wardLine(`allow: [{from: services: ["web"], methods`),
			Party: ByMesh,
		}},
		{"rules have not changed", func(t *testing.T, w *ward) { w.denies(t, "web -> cart") }, "", Verdict{
			Cause: ClientErrors, Subject: "edge web -> cart", Party: ByClient,
		}},
		{"an earlier route takes requests", func(t *testing.T, w *ward) {
			w.before(t, strings.Replace(shop,
				`{name: "new", match: headers: "x-new": exact: "yes", to: [{version: "v2"}]},`, "", 1))
			w.line(t, "web -> cart", "new", "v2", 0, 200, 0)
			w.line(t, "web -> cart", "some", "", 2000, 0, 0)
		}, "", Verdict{Cause: RouteHidden, Subject: "service cart", Position: wardLine(`{name: "new"`), Party: ByMesh}},
		{"an earlier route answers itself", func(t *testing.T, w *ward) {
			w.after(t, strings.Replace(shop, `{name: "new"`,
				`{name: "moved", match: path: prefix: "/old", directResponse: status: 410}, {name: "new"`, 1))
			w.answersItself("service web", telemetry.Line{
				Name: "moved", Source: w.Mesh.Service("cart").Routes[0].Pos.String(), Requests: 90,
			})
		}, "", Verdict{Cause: RouteHidden, Subject: "service cart", Position: wardLine(`{name: "new"`), Party: ByMesh}},
		{"a version has no instance", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 503, "NoHealthyUpstream")
			w.line(t, "web -> cart", "new", "v2", 0, 100, 100)
		}, "", Verdict{Cause: VersionEmpty, Subject: "service cart", Position: wardLine("versions:"), Party: ByMesh}},
		{"a timeout became shorter", func(t *testing.T, w *ward) {
			w.before(t, strings.Replace(shop, `timeout: "2s"`, `timeout: "9s"`, 1))
			w.fails(t, "web -> cart", 504, "UpstreamRequestTimeout")
			w.fails(t, "edge -> web", 502, "-")
		}, "", Verdict{Cause: TimeoutTooShort, Subject: "service cart", Position: wardLine(`timeout: "2s"`), Party: ByMesh}},
		{"a rate limit", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 429, "RateLimited")
			w.line(t, "web -> cart", "some", "", 0, 100, 0)
		}, "", Verdict{Cause: RateLimited, Subject: "service cart", Position: wardLine(`{name: "some"`), Party: ByClient}},
		{"a circuit breaker", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 503, "UpstreamOverflow")
		}, "", Verdict{Cause: BurstAboveLimits, Subject: "service cart", Position: wardLine("cart: {\n"), Party: ByClient}},
		{"another protocol", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 502, "UpstreamProtocolError")
		}, "", Verdict{
			Cause: ProtocolMismatch, Subject: "service cart", Position: wardLine("services: [string]: ports"), Party: ByMesh,
		}},
	}
}

func instanceIllnesses() []illness {
	place := wardLine("listed: {workload")
	return []illness{
		{"an empty list", func(t *testing.T, w *ward) {
			w.fails(t, "web -> listed", 503, "NoHealthyUpstream")
			w.Server.Recent.Instances["listed"] = nil
		}, "", Verdict{Cause: NoInstances, Subject: "service listed", Position: place, Party: ByOutside}},
		{"all left and came back", func(t *testing.T, w *ward) {
			w.fails(t, "web -> listed", 503, "NoHealthyUpstream")
			w.Server.Recent.Moves["listed"] = []serve.Move{
				{At: noon.Add(-20 * time.Second), Went: 3}, {At: noon.Add(-16 * time.Second), Came: 3, Left: 3},
			}
		}, "", Verdict{Cause: InstancesRejoined, Subject: "service listed", Position: place, Party: ByOutside}},
		{"instances flap", func(_ *testing.T, w *ward) { w.moves("listed", 20, 100, 100) }, "", Verdict{
			Cause: EndpointsFlapping, Subject: "service listed", Position: place, Party: ByOutside,
		}},
		{"instances leave while others come and go", func(t *testing.T, w *ward) {
			w.fails(t, "web -> listed", 503, "NoHealthyUpstream")
			w.Server.Recent.Instances["listed"] = nil
			w.moves("listed", 60, 25, 50)
		}, "", Verdict{Cause: NoInstances, Subject: "service listed", Position: place, Party: ByOutside}},
		{"proxies have old addresses", func(t *testing.T, w *ward) {
			w.fails(t, "web -> listed", 503, "UpstreamConnectionFailure")
			w.callers("listed.default|http", hostAt(9, "", 0, 0))
		}, "", Verdict{Cause: StaleEndpoints, Subject: "service listed", Position: place, Party: ByMesh}},
		{"no address leads to a proxy", func(t *testing.T, w *ward) {
			w.fails(t, "web -> listed", 503, "UpstreamConnectionFailure")
		}, "", Verdict{Cause: StaleEndpoints, Subject: "service listed", Position: place, Party: ByMesh}},
		{"a blank file", func(_ *testing.T, w *ward) {
			w.Server.Status.Endpoints = "listed.json: it ends before the list does"
		}, "", Verdict{Cause: EndpointsFileBlank, Subject: "service listed", Position: place, Party: ByOutside}},
		{"a large file", func(_ *testing.T, w *ward) {
			w.Server.Status.Endpoints = "listed.json: it has more than 64 MiB"
		}, "", Verdict{Cause: EndpointsFileOversized, Subject: "service listed", Position: place, Party: ByOutside}},
		{"one instance of five", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 500, "-")
			w.callers("cart.default|http", hostAt(1, "", 20, 0), hostAt(2, "", 20, 20), hostAt(3, "", 20, 0),
				hostAt(4, "", 20, 0), hostAt(5, "", 20, 0))
		}, "", Verdict{Cause: InstanceFailing, Subject: "service cart", Position: wardLine("cart: {\n"), Party: ByApplication}},
		{"a zone", func(t *testing.T, w *ward) {
			for _, to := range []string{"cart", "listed"} {
				w.fails(t, "web -> "+to, 503, "UpstreamConnectionFailure")
				w.callers(to+".default|http", hostAt(1, "a", 20, 0), hostAt(2, "b", 20, 5), hostAt(3, "c", 20, 0))
				w.Server.Recent.Instances[to] = []serve.Instance{
					{Address: "10.0.0.1"}, {Address: "10.0.0.2"}, {Address: "10.0.0.3"},
				}
			}
		}, "", Verdict{Cause: ZoneFailing, Subject: "mesh", Party: ByOutside}},
		{"a version", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 500, "-")
			w.line(t, "web -> cart", "split", "v1", 100, 100, 1)
			w.line(t, "web -> cart", "split", "v2", 100, 100, 90)
		}, "", Verdict{Cause: VersionWorse, Subject: "service cart", Position: wardLine("versions:"), Party: ByApplication}},
	}
}

func deliveryIllnesses() []illness {
	return []illness{
		{"a proxy has ended", func(t *testing.T, w *ward) {
			w.proxy("pay").Connected = false
			w.fails(t, "cart -> pay", 503, "UpstreamConnectionFailure")
			w.fails(t, "web -> cart", 500, "-")
			w.fails(t, "edge -> web", 500, "-")
		}, "", Verdict{Cause: ProxyDead, Subject: "service pay", Party: ByMesh}},
		{"a change ends a proxy", func(t *testing.T, w *ward) {
			w.before(t, strings.Replace(shop, `requests: 10`, `requests: 11`, 1))
			w.proxy("cart").Connected = false
			w.fails(t, "web -> cart", 503, "UpstreamConnectionFailure")
		}, "", Verdict{Cause: ConfigurationCrashes, Subject: "service cart", Position: wardLine(`{name: "some"`), Party: ByMesh}},
		{"a proxy refuses", func(_ *testing.T, w *ward) {
			p := w.proxy("pay")
			p.Types = []serve.TypeStatus{{Type: "LDS", State: serve.StateRefused, Refusals: []serve.Refusal{{
				Type: "LDS", Resource: "inbound", Reason: "no such field", Source: w.Mesh.Service("pay").Pos, Since: noon,
			}}}}
		}, "", Verdict{Cause: ConfigurationRefused, Subject: "service pay", Position: wardLine("pay: {allow"), Party: ByMesh}},
		{"an old proxy refuses", func(_ *testing.T, w *ward) {
			p := w.proxy("pay")
			p.Version = "1.30.0"
			p.Types = []serve.TypeStatus{{Type: "LDS", State: serve.StateRefused, Refusals: []serve.Refusal{{
				Type: "LDS", Resource: "inbound", Reason: "no such field", Source: w.Mesh.Service("pay").Pos, Since: noon,
			}}}}
		}, "", Verdict{Cause: ProxyOld, Subject: "service pay", Position: wardLine("pay: {allow"), Party: ByMesh}},
		{"a stream tells nothing", func(_ *testing.T, w *ward) {
			w.proxy("cart").Types = []serve.TypeStatus{
				{Type: "EDS", State: serve.StateBehind, Age: 60},
			}
		}, "", Verdict{Cause: StreamWithoutUpdates, Subject: "service cart", Party: ByMesh}},
		{"a stream was not sent new rules", func(t *testing.T, w *ward) {
			w.before(t, strings.Replace(shop, `{from: services: ["web"], methods: ["GET"]},`, "", 1))
			w.denies(t, "web -> cart")
			w.proxy("cart").Types = []serve.TypeStatus{{Type: "RDS", State: serve.StateCurrent, Since: noon.Add(-time.Hour)}}
		}, "", Verdict{Cause: StreamWithoutUpdates, Subject: "service cart", Party: ByMesh}},
		{"rules let in more, and a stream was sent them", func(t *testing.T, w *ward) {
			w.before(t, strings.Replace(shop, `{from: services: ["web"], methods: ["GET"]},`, "", 1))
			w.denies(t, "web -> cart")
			w.proxy("cart").Types = []serve.TypeStatus{{Type: "RDS", State: serve.StateCurrent, Since: w.Loaded}}
		}, "", Verdict{
			Cause: RuleRemoved, Subject: "edge web -> cart", Position: wardLine(`allow: [{from: services: ["web"], methods`),
			Party: ByMesh,
		}},
		{"endpoints are late while a change is pushed", func(t *testing.T, w *ward) {
			w.before(t, strings.Replace(shop, `requests: 10`, `requests: 11`, 1))
			for _, of := range []string{"cart", "web"} {
				w.proxy(of).Types = []serve.TypeStatus{{Type: "EDS", State: serve.StateCurrent, Took: 4}}
			}
		}, "", Verdict{Cause: EndpointsDelayed, Subject: "mesh", Party: ByMesh}},
		{"the server is gone", func(_ *testing.T, w *ward) {
			w.Server = &Server{Address: "127.0.0.1:1", Err: fmt.Errorf("connection refused")}
		}, "", Verdict{Cause: ServerStarved, Subject: "mesh", Party: ByMesh}},
	}
}

func identityIllnesses() []illness {
	return []illness{
		{"a certificate has ended", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 503, "UpstreamConnectionFailure")
			w.Proxies = []Proxy{{Node: "service/cart/a", Member: ir.ServiceRef("cart"), Leaves: []Leaf{
				{"spiffe://shop.example/ns/default/sa/cart", noon.Add(-2 * time.Hour), noon.Add(-time.Hour)},
			}}}
		}, "", Verdict{Cause: ClockWrong, Subject: "service cart", Party: ByOutside}},
		{"an authority is not trusted", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 503, "UpstreamConnectionFailure")
			w.Proxies = []Proxy{{Node: "service/web/a", Member: ir.ServiceRef("web"), Grown: map[string]uint64{
				"cluster.cart_default|http.ssl.fail_verify_error": 9,
			}}}
		}, "", Verdict{Cause: IssuerNotReloaded, Subject: "service cart", Party: ByMesh}},
		{"a proxy does not trust the server", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 503, "UpstreamConnectionFailure")
			w.proxy("cart").Connected = false
			w.Proxies = []Proxy{{Node: "service/cart/a", Member: ir.ServiceRef("cart"), Grown: map[string]uint64{
				"cluster.meshc.ssl.fail_verify_error": 9,
			}}}
		}, "", Verdict{Cause: IssuerNotReloaded, Subject: "service cart", Party: ByMesh}},
		{"somebody speaks plaintext", func(_ *testing.T, w *ward) {
			w.Proxies = []Proxy{{Node: "service/cart/a", Member: ir.ServiceRef("cart"), Grown: map[string]uint64{
				"listener.10.0.0.1_8080.ssl.connection_error": 9,
			}}}
		}, "", Verdict{
			Cause: PlaintextClient, Subject: "service cart", Position: wardLine("services: [string]: ports"), Party: ByClient,
		}},
		{"a port counts plaintext", func(_ *testing.T, w *ward) {
			all := serve.Edge{Callee: "service cart", Port: 8080, PortName: "http", Server: usualEnd(telemetry.ServerTCP)}
			for _, s := range lastSteps(all.Server) {
				s.Denied = s.Requests
			}
			latest := all
			latest.Server = &telemetry.End{Kind: telemetry.ServerTCP, Failures: []telemetry.Failure{
				{GRPC: -1, Flags: ir.RefusedPlaintext, Requests: 200},
			}}
			w.Server.Edges.Edges = append(w.Server.Edges.Edges, all)
			w.Server.Latest.Edges = append(w.Server.Latest.Edges, latest)
		}, "", Verdict{
			Cause: PlaintextClient, Subject: "service cart", Position: wardLine("services: [string]: ports"), Party: ByClient,
		}},
	}
}

func otherIllnesses() []illness {
	return []illness{
		{"nothing", func(*testing.T, *ward) {}, "", Verdict{Cause: Nothing, Subject: "mesh", Party: ByNobody}},
		{"a slow leaf", func(t *testing.T, w *ward) {
			for _, edge := range []string{"cart -> pay", "web -> cart", "edge -> web"} {
				w.slows(t, edge, 310)
			}
			w.fails(t, "web -> cart", 504, "UpstreamRequestTimeout")
		}, "", Verdict{Cause: SlowApplication, Subject: "service pay", Party: ByApplication}},
		{"a slow leaf behind a timeout and retries", func(t *testing.T, w *ward) {
			w.fails(t, "web -> cart", 504, "UpstreamOverflow,UpstreamRequestTimeout")
			w.fails(t, "edge -> web", 500, "UpstreamOverflow")
		}, "", Verdict{Cause: SlowApplication, Subject: "service cart", Party: ByApplication}},
		{"a slow leaf in a mesh that was just started", func(t *testing.T, w *ward) {
			all, _ := w.edge(t, "web -> cart")
			all.Client.Steps, all.Server.Steps = all.Client.Steps[18:], all.Server.Steps[18:]
			w.fails(t, "web -> cart", 504, "UpstreamRequestTimeout")
		}, "", Verdict{Cause: SlowApplication, Subject: "service cart", Party: ByApplication}},
		{"few instances come and go often", func(_ *testing.T, w *ward) { w.moves("listed", 64, 4, 20) }, "", Verdict{
			Cause: Nothing, Subject: "mesh", Party: ByNobody,
		}},
		{"a leaf answers 500", func(t *testing.T, w *ward) {
			for _, edge := range []string{"cart -> pay", "web -> cart", "edge -> web"} {
				w.fails(t, edge, 500, "-")
			}
		}, "", Verdict{Cause: ApplicationErrors, Subject: "service pay", Party: ByApplication}},
		{"asked about one of two", func(t *testing.T, w *ward) {
			w.fails(t, "web -> listed", 500, "-")
			w.fails(t, "cart -> pay", 503, "UpstreamOverflow")
		}, "listed", Verdict{Cause: ApplicationErrors, Subject: "service listed", Party: ByApplication}},
		{"an application limits a client", func(t *testing.T, w *ward) {
			w.fails(t, "web -> listed", 429, "-")
		}, "", Verdict{Cause: ClientErrors, Subject: "edge web -> listed", Party: ByClient}},
		{"a client", func(t *testing.T, w *ward) { w.fails(t, "edge -> web", 404, "-") }, "", Verdict{
			Cause: ClientErrors, Subject: "gateway edge", Party: ByClient,
		}},
		{"no keys", func(t *testing.T, w *ward) {
			w.fails(t, "cart -> pay", 401, "-")
			w.Proxies = []Proxy{{Node: "service/pay/a", Member: ir.ServiceRef("pay"), Clusters: []Cluster{
				{Name: "keys.default|http", Hosts: []Host{{Healthy: true, Since: Counts{Unconnected: 3}}}},
			}}}
		}, "", Verdict{Cause: JWKSUnreachable, Subject: "service pay", Position: wardLine("jwt: issuers"), Party: ByOutside}},
		{"no authorization", func(t *testing.T, w *ward) {
			_, latest := w.edge(t, "cart -> pay")
			latest.Server.Failures = []telemetry.Failure{
				{Status: 403, GRPC: -1, Flags: "UnauthorizedExternalService", Requests: 90},
			}
			w.fails(t, "pay -> opa", 503, "UpstreamConnectionFailure")
		}, "pay", Verdict{
			Cause: AuthorizationUnreachable, Subject: "service pay", Position: wardLine("opa: {}, keys"), Party: ByOutside,
		}},
	}
}

// TestHealthyIsNothing has meshes with random numbers as healthy ones have them: loads of all sorts, latencies that
// wander by half, single failures. Nothing may be found in any.
func TestHealthyIsNothing(t *testing.T) {
	m := compiled(t, shop)
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := healthy(t, m)
		for i := range w.Server.Edges.Edges {
			load, usual := r.Uint64N(3000), 0.5+r.Float64()*80
			for _, end := range []*telemetry.End{w.Server.Edges.Edges[i].Client, w.Server.Edges.Edges[i].Server} {
				for k := range end.Steps {
					s := &end.Steps[k]
					s.Requests = load/2 + r.Uint64N(load/2+1)
					s.Samples, s.P50 = s.Requests, usual*(0.7+r.Float64())
					s.P95 = s.P50 * 2
					if s.Requests > 400 && r.IntN(4) == 0 {
						s.Errors = 1
					}
				}
			}
		}
		if got := Examine(w.Observations, ""); !got.Good() {
			t.Fatalf("seed %d: %+v %+v", seed, got.Verdict, got.Evidence)
		}
	}
}
