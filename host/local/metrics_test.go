package local

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// series are the counters of the mesh's own metrics at one proxy, by their name and labels as Prometheus reads them.
type series map[string]uint64

// scraped are the counters of a proxy, KIND/NAME/INSTANCE, whose names begin so.
func scraped(t testing.TB, m *Mesh, id, prefix string) series {
	t.Helper()
	m.mu.Lock()
	p := m.proxies[id]
	m.mu.Unlock()
	if p == nil {
		t.Fatalf("the mesh has no proxy %s", id)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.admin+"/stats/prometheus", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := m.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return parsed(t, answer.Body, prefix)
}

// parsed are the counters of a page of Prometheus' text format whose names begin so.
func parsed(t testing.TB, page io.Reader, prefix string) series {
	t.Helper()
	out := series{}
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || !strings.HasPrefix(line, prefix) || at < 0 {
			continue
		}
		n, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out[line[:at]] = uint64(n)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// since is by how much the counters grew: those alone that did.
func (s series) since(before series) series {
	out := series{}
	for name, n := range s {
		if n > before[name] {
			out[name] = n - before[name]
		}
	}
	return out
}

// labels are those of a series that have a value.
func labels(name string) map[string]string {
	out := map[string]string{}
	_, inside, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	for inside != "" {
		key, rest, _ := strings.Cut(inside, `="`)
		value, after, _ := strings.Cut(rest, `"`)
		if value != "" {
			out[key] = value
		}
		inside = strings.TrimPrefix(after, ",")
	}
	return out
}

const (
	clientRequests = "envoy_meshc_http_client_requests{"
	serverRequests = "envoy_meshc_http_server_requests{"
	serverFailures = "envoy_meshc_http_server_failures{"
)

// TestMetricsAreWhatTrySays puts random requests to random meshes, and wants the counters of real Envoys to grow by
// what compiler/try predicts of each request: the caller, the callee, the route, the rule and the status, and nothing
// else. MESHC_TRIES is how many.
func TestMetricsAreWhatTrySays(t *testing.T) {
	const perMesh = 50
	tries, seed := trytest.Amount(os.Getenv("MESHC_TRIES"), 300), trytest.Seed(t)
	public, token := randomTokens(t)
	compared, reached, denied := 0, 0, 0
	for n := 0; compared < tries; n++ {
		g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, uint64(n))), Keys: public, Hosts: true, Edge: true}
		m, text := randomMesh(t, g.Spec)
		mesh := startUntilStopped(t, m)
		for range perMesh {
			r, raw := g.Request(token)
			trial, err := try.Try(m, r)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if len(trial.Undecided) > 0 {
				continue
			}
			compared++
			client, server, wrong := counting(t, mesh, m, trial, r, raw)
			reached += min(1, len(server))
			if a := trial.Answer; a != nil && a.Status == 403 && len(server) > 0 {
				denied++
			}
			if wrong != "" {
				var steps strings.Builder
				if err := trial.Text(&steps); err != nil {
					t.Fatal(err)
				}
				t.Errorf("%s\n%q\n%s\nclient %v\nserver %v\n%s", wrong, raw, steps.String(), client, server, text)
			}
			if t.Failed() {
				break
			}
		}
		if err := mesh.Stop(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d requests are counted as predicted; %d of them at a callee, %d denied there", compared, reached, denied)
	if reached < tries/8 || denied == 0 {
		t.Errorf("of %d requests %d came to a callee and %d were denied there: that proves little", compared, reached,
			denied)
	}
}

// counting sends a request, and says by which counters it was counted, and in what they differ from the trial.
func counting(t *testing.T, mesh *Mesh, m *ir.Mesh, trial *try.Trial, r try.Request, raw string) (client, server series,
	wrong string,
) {
	t.Helper()
	from := string(r.From.Kind) + "/" + r.From.Name + "/" + onlyInstance
	callees := map[string]series{}
	for id := range everyProxy(mesh) {
		if strings.HasPrefix(id, "service/b/") || strings.HasPrefix(id, "service/c/") {
			callees[id] = scraped(t, mesh, id, "envoy_meshc_http_server_")
		}
	}
	before := scraped(t, mesh, from, "envoy_meshc_http_client_")
	if wrong := difference(t, mesh, trial, r, raw); wrong != "" {
		return nil, nil, wrong
	}
	at := arrival(trial)
	eventually(t, "the request is counted", func() bool {
		client = scraped(t, mesh, from, "envoy_meshc_http_client_").since(before).named(clientRequests)
		server = series{}
		for id, had := range callees {
			maps.Copy(server, scraped(t, mesh, id, "envoy_meshc_http_server_").since(had))
		}
		return len(client) > 0 && (at == "" || len(server) > 0)
	})
	return client, server, cmp.Or(clientDiffers(m, trial, r, client), serverDiffers(m, trial, r, server))
}

// named are the series of that name.
func (s series) named(prefix string) series {
	out := series{}
	for name, n := range s {
		if strings.HasPrefix(name, prefix) {
			out[name] = n
		}
	}
	return out
}

// everyProxy are the ids of all proxies that run.
func everyProxy(m *Mesh) map[string]bool {
	out := map[string]bool{}
	for _, p := range m.sortedProxies() {
		out[p.id] = true
	}
	return out
}

// arrival is the service at which the request arrives, or "": one of several by weights.
func arrival(trial *try.Trial) string {
	if len(trial.Reaches) > 0 {
		return trial.Reaches[0].Service
	}
	if a := trial.Answer; a != nil && a.By != trial.From.String() {
		return strings.TrimPrefix(a.By, "service ")
	}
	return ""
}

// clientDiffers says in what the one counter of the sender's proxy is not as predicted.
func clientDiffers(m *ir.Mesh, trial *try.Trial, r try.Request, counted series) string {
	if len(counted) != 1 {
		return fmt.Sprintf("%d series count it at the sender", len(counted))
	}
	for name, n := range counted {
		got := labels(name)
		want := map[string]string{"caller": memberIdentity(m, r.From), "http_response_status_class": class(trial)}
		if len(trial.Routes) > 0 {
			want["source"] = trial.Routes[len(trial.Routes)-1].Pos.String()
		}
		if to := arrival(trial); to != "" && len(trial.Reaches) < 2 {
			want["callee"] = m.Service(to).Name + "." + m.Service(to).Namespace
		}
		if reaches := trial.Reaches; len(reaches) > 1 || len(reaches) == 1 && !isURL(reaches[0].Path) {
			// It is one of several by weights, or the application refuses the path.
			delete(want, "http_response_status_class")
		}
		for key, value := range want {
			if n != 1 || got[key] != value {
				return fmt.Sprintf("the sender's proxy counts %d %s=%q, and not 1 %q", n, key, got[key], value)
			}
		}
	}
	return ""
}

// serverDiffers says in what the counters of the callees' proxies are not as predicted. Mirrored copies are counted
// too.
func serverDiffers(m *ir.Mesh, trial *try.Trial, r try.Request, counted series) string {
	to := arrival(trial)
	if to == "" {
		return ""
	}
	decided, atGateway := map[string]bool{}, []ir.Rule(nil)
	if g := m.Gateway(r.From.Name); g != nil && r.From.Kind == ir.KindGateway {
		atGateway = slices.Concat(g.Allow, g.Deny)
	}
	for _, rule := range trial.Rules {
		if !slices.ContainsFunc(atGateway, func(other ir.Rule) bool { return other.Pos == rule.Pos }) {
			decided[rule.Name+" "+rule.Pos.String()] = true
		}
	}
	decided[""] = len(decided) == 0
	name, kinds := serverFailures, []string{}
	if trial.Answer == nil {
		name = serverRequests
	}
	if slices.ContainsFunc(trial.Reaches, func(r try.Reach) bool { return r.Refused != 0 }) {
		name, decided[""] = "envoy_meshc_http_server_", true // by their weights
	}
	for got := range counted {
		kinds = append(kinds, got)
		l := labels(got)
		if !strings.HasPrefix(got, name) || l["caller"] != memberIdentity(m, r.From) || !decided[l["rule"]] {
			continue
		}
		for _, reach := range append(trial.Reaches, try.Reach{Service: to}) {
			if s := m.Service(reach.Service); l["callee"] == s.Name+"."+s.Namespace {
				return ""
			}
		}
	}
	slices.Sort(kinds)
	return fmt.Sprintf("no series %s of the callee's proxy counts it for %s by %v", strings.TrimSuffix(name, "{"), to,
		decided)
}

func class(trial *try.Trial) string {
	if trial.Answer != nil {
		return fmt.Sprintf("%dxx", trial.Answer.Status/100)
	}
	return "2xx"
}

func memberIdentity(m *ir.Mesh, from try.Sender) string {
	if from.Kind == ir.KindGateway {
		return m.Gateway(from.Name).Identity.String()
	}
	return m.Service(from.Name).Identity.String()
}
