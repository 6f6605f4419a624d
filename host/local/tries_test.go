package local

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// failure is something that an application does with a request.
type failure struct {
	name string
	does http.HandlerFunc
	// on are the conditions that take it in; status is what the client gets in the end: of HTTP, or of gRPC with that
	// before it.
	on     []ir.RetryCondition
	status string
	// unanswered is set where there is no answer by the application, which counts against its instance.
	unanswered bool
}

const hangs = "hangs"

// playedFailures are those that an application can be told to do.
func playedFailures(protocol ir.Protocol) []failure {
	everyReset := []ir.RetryCondition{"reset", "5xx", "gateway-error", "unavailable"} // which the proxy answers
	out := []failure{
		{
			name: "breaks off", does: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			on: everyReset, status: "503", unanswered: true,
		},
		{
			name: hangs, does: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			status: "504", unanswered: true,
		},
	}
	if protocol == ir.GRPC {
		out[0].status, out[1].status = "grpc 14", "grpc 4"
		on := map[int]ir.RetryCondition{
			1: "cancelled", 4: "deadline-exceeded", 8: "resource-exhausted", 13: "internal", 14: "unavailable",
		}
		for _, code := range []int{0, 1, 2, 4, 5, 8, 12, 13, 14, 15} {
			f := failure{
				name: fmt.Sprintf("answers %d", code), does: statusInHeaders(strconv.Itoa(code)),
				status: fmt.Sprintf("grpc %d", code),
			}
			if condition := on[code]; condition != "" {
				f.on = []ir.RetryCondition{condition}
			}
			out = append(out, f)
		}
		return out
	}
	for _, status := range []int{200, 204, 400, 404, 409, 429, 431, 500, 501, 502, 503, 504} {
		f := failure{
			name:   fmt.Sprintf("answers %d", status),
			does:   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) },
			status: strconv.Itoa(status),
		}
		if status >= 500 {
			f.on = append(f.on, "5xx")
		}
		if status >= 502 && status <= 504 {
			f.on = append(f.on, "gateway-error")
		}
		switch status {
		case 409:
			f.on = append(f.on, "retriable-4xx")
		case 503:
			f.on = append(f.on, "unavailable")
		}
		out = append(out, f)
	}
	return out
}

// constantFailure is what an application that always fails does.
func constantFailure(s trytest.Failing) failure {
	f := failure{name: s.Always, status: "503", unanswered: true}
	if s.Protocol == ir.GRPC {
		f.status = "grpc 14"
	}
	if s.Always == "gone" {
		f.on = []ir.RetryCondition{
			"connect-failure", "reset-before-request", "reset", "5xx", "gateway-error",
			"unavailable",
		}
	}
	return f
}

// failing is a running mesh of failing services.
type failing struct {
	*Mesh
	linked *ir.Mesh
	mu     sync.Mutex
	does   map[string]http.HandlerFunc // by service
	hits   map[string]int              // by request
	sent   int
	// inARow is how many failures came last, by caller and service, and ejected which of them were enough.
	// Unsure are those of which a busy machine made more.
	inARow          map[string]int
	ejected, unsure map[string]bool
}

func startFailing(t *testing.T, m *ir.Mesh) *failing {
	t.Helper()
	f := &failing{
		Mesh: startUntilStopped(t, m), linked: m,
		does: map[string]http.HandlerFunc{}, hits: map[string]int{},
		inARow: map[string]int{}, ejected: map[string]bool{}, unsure: map[string]bool{},
	}
	for _, s := range trytest.FailingServices {
		stop := play(t, f.Mesh, s.Name, "a", func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			f.hits[r.URL.RawQuery]++
			does := f.does[s.Name]
			f.mu.Unlock()
			does(w, r)
		})
		switch s.Always {
		case "gone":
			stop()
		case "refuses":
			stop()
			refuseStreams(t, listenAs(t, f.Mesh, s.Name, "a"))
		}
	}
	return f
}

// ask sends a request by a caller, and returns how it ended, how often the caller's proxy sent it, and how often it
// came to the application.
func (f *failing) ask(t *testing.T, by string, s trytest.Failing, method, path string,
	does http.HandlerFunc,
) (status string, tries, hits int) {
	t.Helper()
	f.mu.Lock()
	f.does[s.Name] = does
	f.mu.Unlock()
	f.sent++
	id := strconv.Itoa(f.sent)
	before := f.count(t, by, s, "upstream_rq_total")
	client, url := http.DefaultClient, f.Gateway("edge").URL
	if by == "client" {
		client, url = f.As("client").Client(), fmt.Sprintf("http://%s:%d", s.Name, s.Port)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url+path+"?"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = s.Name
	if s.Protocol == ir.GRPC {
		r.Header.Set("content-type", "application/grpc")
		r.Header.Set("te", "trailers")
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body) // the trailers are behind it
	response.Body.Close()
	tries = int(f.count(t, by, s, "upstream_rq_total") - before)
	f.mu.Lock()
	defer f.mu.Unlock()
	return failed(response), tries, f.hits[id]
}

// sender is the caller of that name, and proxyOf its proxy.
func sender(by string) try.Sender {
	if by == "edge" {
		return try.Sender{Kind: ir.KindGateway, Name: by}
	}
	return try.Sender{Kind: ir.KindService, Name: by}
}

func proxyOf(by string) string { return string(sender(by).Kind) + "/" + by + "/a" }

// count is a counter of a caller's proxy about its calls to a service.
func (f *failing) count(t *testing.T, by string, s trytest.Failing, counter string) uint64 {
	t.Helper()
	return counted(t, f.Mesh, proxyOf(by), `^cluster\.`+s.Name+`_default\|main\.`+counter+`$`)
}

// tell keeps the failures in a row that the tries of a request make.
func (f *failing) tell(by string, s trytest.Failing, what failure, tries int) {
	key := by + " " + s.Name
	if !what.unanswered {
		f.inARow[key] = 0
		return
	}
	if f.inARow[key] += tries; f.inARow[key] >= trytest.FailingOutliers {
		f.ejected[key] = true
	}
}

// triesOf is how often a request is sent by what is told of it.
func triesOf(p *ir.Policy, what failure) int {
	again := 1 + int(p.Attempts.Value)
	switch {
	case what.name == "refuses":
		return max(2, again)
	case what.name == hangs && p.RetriesLate():
		return again
	case slices.ContainsFunc(what.on, func(c ir.RetryCondition) bool { return slices.Contains(p.RetriesOn(), c) }):
		return again
	}
	return 1
}

// Random requests meet applications that hang, break off, refuse or answer something, in meshes with random times and
// retries, by a sidecar and by a gateway. It wants the number of tries that follows from what
// compiler/try tells of times and retries, the status, that the application gets each request no more often, that the
// metrics of both ends grow by exactly that, with the statuses of HTTP and of gRPC, the route and the rule, and that
// an instance is ejected when so many tries in a row had no answer of its application, and else never. MESHC_TRIES is
// for how many requests a tenth of them are made.
//
// Field: retries.on
func TestTryIsEnvoyWhereApplicationsFail(t *testing.T) {
	const perMesh = 150
	seed := trytest.Seed(t)
	tries, compared, again := trytest.Amount(os.Getenv("MESHC_TRIES"), 1500)/10, 0, 0
	for n := 0; compared < tries; n++ {
		g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, uint64(n)))}
		m, text := compiling(t, g.FailingMesh)
		f := startFailing(t, m)
		for range perMesh {
			if f.compare(t, g) {
				again++
			}
			compared++
		}
		for _, s := range trytest.FailingServices {
			for _, by := range []string{"client", "edge"} {
				ejections := func() uint64 { return f.count(t, by, s, "outlier_detection.ejections_enforced_total") }
				if f.unsure[by+" "+s.Name] {
					continue
				}
				if f.ejected[by+" "+s.Name] {
					eventually(t, "that "+s.Name+" is ejected by "+by, func() bool { return ejections() == 1 })
				} else if n := ejections(); n != 0 {
					t.Errorf("%s by %s: %d ejections, want none", s.Name, by, n)
				}
			}
		}
		if err := f.Stop(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatal(text)
		}
	}
	t.Logf("%d requests are as told, %d of which were sent again", compared, again)
	if again < tries/10 {
		t.Errorf("of %d requests %d were sent again: that proves little", compared, again)
	}
}

// compare sends a random request, and reports whether it is one that is sent again.
func (f *failing) compare(t *testing.T, g *trytest.Random) bool {
	t.Helper()
	s := trytest.FailingServices[g.IntN(len(trytest.FailingServices))]
	by, method := []string{"client", "edge"}[g.IntN(2)], []string{http.MethodGet, http.MethodPost}[g.IntN(2)]
	if s.Protocol == ir.GRPC {
		method = http.MethodPost
	}
	path := fmt.Sprintf("/r%d/", g.IntN(trytest.FailingRoutes+1)) // and one of no route
	port := uint16(s.Port)
	if by == "edge" {
		port = 8080
	}
	trial, err := try.Try(f.linked, try.Request{
		From: sender(by), Method: method, Scheme: "http", Host: s.Name, Port: port,
		Path: path,
	})
	if err != nil {
		t.Fatal(err)
	}
	if trial.Policy == nil || len(trial.Reaches) != 1 {
		t.Fatalf("%s %s by %s: the trial says %+v", s.Name, path, by, trial)
	}
	what := constantFailure(s)
	if s.Always == "" {
		played := playedFailures(s.Protocol)
		what = played[g.IntN(len(played))]
		if n := g.IntN(8); n < 4 { // in half of the cases there is no answer
			what = played[n/3]
		}
		if what.name == hangs && !trial.Policy.PerTryTimeout.Pos.IsValid() { // it would take too long
			what = played[0]
		}
	}
	want := triesOf(trial.Policy, what)
	wantHits := want
	switch {
	case s.Always != "":
		wantHits = 0
	case what.name == "breaks off" && s.Protocol == ir.HTTP && method == http.MethodGet:
		wantHits *= 2 // the last proxy cannot tell it from a connection that was just closing
	}
	// A machine that is busy for as long as a try may take makes another one of it: what differs is asked again.
	for again := range 3 {
		before := f.told(t, by, s)
		status, tries, hits := f.ask(t, by, s, method, path, what.does)
		arrived := hits == wantHits || what.name == hangs && hits < wantHits // a try may be over before it is there
		if status == what.status && tries == want && arrived {
			if hits == wantHits { // else the callee's proxy may not have seen it either
				f.wantTold(t, by, s, trial, before, status, tries)
			}
			break
		}
		f.unsure[by+" "+s.Name] = true
		if p := trial.Policy; again == 2 {
			t.Errorf("%s %s%s by %s, whose application %s: %s after %d tries, %d of which arrive; want %s after %d, %d of which arrive",
				method, s.Name, path, by, what.name, status, tries, hits, what.status, want, wantHits)
			t.Logf("on %v, attempts %d, perTryTimeout %s", p.RetriesOn(), p.Attempts.Value, p.PerTryTimeout.Value)
		}
	}
	f.tell(by, s, what, want)
	return want > 1
}
