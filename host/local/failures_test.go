package local

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// failuresMesh has two instances of each service, whose applications the tests play.
const failuresMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	client: {workload: deployment: "client", uses: {http: {}, http2: {}, grpc: {}}}
	[N=!="client"]: {
		workload: deployment: N
		ports: main: protocol: N
		versions: {a: labels: version: "a", b: labels: version: "b"}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
		routes: [
			{match: path: prefix: "/retried/", retries: attempts: 1},
			{match: path: prefix: "/written/", retries: {attempts: 1, on: ["unavailable"]}},
			{match: path: prefix: "/reset/", retries: {attempts: 1, on: ["reset"]}},
		]
	}
	http: ports: main: port: 8081
	http2: {ports: main: port: 8082, connections: idleTimeout: "300ms"}
	grpc: ports: main: port: 8083
}
gateways: edge: {
	listeners: plain: port: 8080
	routes: [for N in ["http", "http2", "grpc"] {match: host: N, to: [{service: N}]}]
	uses: {http: {}, http2: {}, grpc: {}}
}
`

// failures is a mesh of failuresMesh, and what its applications do.
type failures struct {
	*Mesh
	stop  map[string]func() // an application, by "SERVICE/INSTANCE"
	mu    sync.Mutex
	does  http.HandlerFunc // of all instances
	tries []string         // the instances that were asked, in turn
}

func startFailures(t *testing.T, delivery ir.Delivery) *failures {
	t.Helper()
	m := inline(t, map[string]string{"mesh.cue": failuresMesh}).Clone()
	m.Delivery = delivery
	f := &failures{Mesh: start(t, m), stop: map[string]func(){}}
	for service := range ways {
		for _, instance := range []string{"a", "b"} {
			f.stop[service+"/"+instance] = play(t, f.Mesh, service, instance,
				func(w http.ResponseWriter, r *http.Request) {
					r.Header.Set("instance", instance)
					f.mu.Lock()
					f.tries = append(f.tries, instance)
					does := f.does
					f.mu.Unlock()
					does(w, r)
				})
		}
	}
	return f
}

// ways are the ports of the services.
var ways = map[string]int{"http": 8081, "http2": 8082, "grpc": 8083}

// let has the applications do that from now on.
func (f *failures) let(does http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.does, f.tries = does, nil
}

func (f *failures) tried() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tries)
}

// ask sends a request to a service by a sidecar, or by the gateway.
func (f *failures) ask(t *testing.T, by, service, method, path string) *http.Response {
	t.Helper()
	client, url := f.As("client").Client(), fmt.Sprintf("http://%s:%d%s", service, ways[service], path)
	if by == "edge" {
		client, url = http.DefaultClient, f.Gateway("edge").URL+path
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = service
	if service == "grpc" {
		r.Header.Set("content-type", "application/grpc")
		r.Header.Set("te", "trailers")
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body) // the trailers are behind it
	response.Body.Close()
	for name := range response.Header {
		if strings.HasPrefix(name, "X-Meshc-") {
			t.Errorf("%s %s by %s: what proxies tell each other came through: %s", method, path, by, name)
		}
	}
	return response
}

// failed is what of an answer tells a failure: the status of HTTP, or of gRPC.
func failed(r *http.Response) string {
	for _, h := range []http.Header{r.Header, r.Trailer} {
		if status := h.Get("grpc-status"); status != "" {
			return "grpc " + status
		}
	}
	return fmt.Sprint(r.StatusCode)
}

func (f *failures) ejections(t *testing.T, by string) (n uint64) {
	t.Helper()
	id := "service/client/a"
	if by == "edge" {
		id = "gateway/edge/a"
	}
	return counted(t, f.Mesh, id, `^cluster\..*outlier_detection\.ejections_enforced_total$`)
}

// play has a handler stand in for an application, over HTTP/1.1 and HTTP/2.
func play(t *testing.T, m *Mesh, service, instance string, h http.HandlerFunc) (stop func()) {
	t.Helper()
	m.Backend(service, instance).Close()
	s := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	l := listenAs(t, m, service, instance)
	go func() { _ = s.Serve(l) }()
	stop = func() {
		s.Close()
		l.Close() // which it may not know yet
	}
	t.Cleanup(stop)
	return stop
}

// listenAs listens where a stopped application listened for its only port.
func listenAs(t *testing.T, m *Mesh, service, instance string) net.Listener {
	t.Helper()
	s := m.Placed().Service(service)
	for _, e := range s.Workload.Endpoints {
		if e.Name == instance {
			l, err := listening(join(e.Address, e.Targets[s.Ports[0].Name]))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return l
		}
	}
	t.Fatalf("%s has no instance %s", service, instance)
	return nil
}

// What an application answers is its answer, and no failure of its instance; a client's fault is none either. Users'
// reports: envoyproxy/envoy#3643, istio/istio#57343, istio/istio#25220 and envoyproxy/envoy#40697.
//
// Field: outliers
func TestAnswersEjectNobody(t *testing.T) {
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		f := startFailures(t, delivery)
		for _, by := range []string{"client", "edge"} {
			for _, status := range []int{500, 502, 503, 504, 431, 400} {
				f.let(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("x-meshc-unanswered", "connect-failure") // an application that lies
					w.WriteHeader(status)
				})
				for _, service := range []string{"http", "http2"} {
					for range 24 {
						if r := f.ask(t, by, service, http.MethodPost, "/"); r.StatusCode != status {
							t.Fatalf("%s by %s: %d, want %d", service, by, r.StatusCode, status)
						}
					}
				}
				if n, out := f.tried(), f.ejections(t, by); n != 48 || out != 0 {
					t.Errorf("%v, %d by %s: asked %d times, want 48; %d ejections", delivery, status, by, n, out)
				}
			}
			for _, code := range []string{"2", "4", "12", "13", "14", "15"} {
				for what, does := range map[string]http.HandlerFunc{
					"headers":  statusInHeaders(code),
					"trailers": statusInTrailers(code),
				} {
					f.let(does)
					for range 24 {
						got := failed(f.ask(t, by, "grpc", http.MethodPost, "/"))
						if lost := by == "edge" && what == "trailers"; got != "grpc "+code &&
							!lost { // HTTP/1.1 has none
							t.Fatalf("by %s in %s: %s, want grpc %s", by, what, got, code)
						}
					}
					if n := f.ejections(t, by); n != 0 {
						t.Errorf("%v, grpc %s in %s by %s: %d ejections", delivery, code, what, by, n)
					}
				}
			}
		}
	}
}

// An answer that the application's own proxy refuses, as it has too many headers or too large ones, is no failure of
// the instance either, and not asked for again: the application has worked on the request.
//
// Field: outliers
func TestAnswersThatAreTooLargeEjectNobody(t *testing.T) {
	f := startFailures(t, ir.DeliveryXDS)
	for what, c := range map[string]struct{ headers, bytes int }{"too many": {150, 1}, "too large": {3, 30 << 10}} {
		f.let(func(w http.ResponseWriter, _ *http.Request) {
			for i := range c.headers {
				w.Header().Set(fmt.Sprint("x-", i), strings.Repeat("x", c.bytes))
			}
		})
		asked := 0
		for _, by := range []string{"client", "edge"} {
			for service, want := range map[string]string{"http": "502", "http2": "503", "grpc": "grpc 14"} {
				for range 12 {
					asked++
					if got := failed(f.ask(t, by, service, http.MethodPost, "/reset/")); got != want {
						t.Fatalf("%s by %s, %s: %s, want %s", service, by, what, got, want)
					}
				}
			}
			if n, out := f.tried(), f.ejections(t, by); n != asked || out != 0 {
				t.Errorf("%s by %s: asked %d times, want %d; %d ejections", what, by, n, asked, out)
			}
		}
	}
}

// statusInHeaders answers a call of gRPC without a message.
func statusInHeaders(code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/grpc")
		w.Header().Set("grpc-status", code)
	}
}

// statusInTrailers answers a call of gRPC with an empty message.
func statusInTrailers(code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/grpc")
		_, _ = w.Write(make([]byte, 5))
		w.Header().Set(http.TrailerPrefix+"grpc-status", code)
	}
}

// A request that the application may have worked on is sent again only where somebody wrote so. Users' reports:
// istio/istio#13851, istio/istio#27340 and istio/istio#50506.
//
// Field: retries.on
func TestWhatAnApplicationHasSeenIsNotSentAgain(t *testing.T) {
	f := startFailures(t, ir.DeliveryXDS)
	breaksOff := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	unavailable := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("content-type"), "application/grpc") {
			statusInHeaders("14")(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for service := range ways {
		want := "503"
		if service == "grpc" {
			want = "grpc 14"
		}
		for _, by := range []string{"client", "edge"} {
			for what, c := range map[string]struct {
				does  http.HandlerFunc
				path  string
				tries int
			}{
				"breaks off, nothing written":        {breaksOff, "/", 1},
				"breaks off, one retry":              {breaksOff, "/retried/", 1},
				"breaks off, a retry on reset":       {breaksOff, "/reset/", 2},
				"unavailable, one retry":             {unavailable, "/retried/", 1},
				"unavailable, a retry on this":       {unavailable, "/written/", 2},
				"unavailable, with a retry on reset": {unavailable, "/reset/", 1},
			} {
				f.let(c.does)
				if got := failed(f.ask(t, by, service, http.MethodPost, c.path)); got != want || f.tried() != c.tries {
					t.Errorf("%s by %s, %s: %s after %d tries, want %s after %d", service, by, what, got, f.tried(),
						want, c.tries)
				}
			}
		}
	}
}

// What the application did not get is not processed: a retry of any request goes to the other instance, and the
// instance is left alone after five. What the instances tell each other does not come through.
//
// Field: outliers
func TestWhatWasNotProcessedIsSentAgain(t *testing.T) {
	f := startFailures(t, ir.DeliveryXDS)
	f.let(func(http.ResponseWriter, *http.Request) {})
	for service := range ways {
		f.stop[service+"/a"]()
		for range 40 {
			if got := failed(f.ask(t, "client", service, http.MethodPost, "/retried/")); got != "200" {
				t.Errorf("%s by client, with a retry: %s", service, got)
			}
		}
		failures := 0
		eventually(t, "20 good answers of "+service+" in a row", func() bool {
			for range 20 {
				if failed(f.ask(t, "edge", service, http.MethodPost, "/")) != "200" {
					failures++
					return false
				}
			}
			return true
		})
		if failures < 5 {
			t.Errorf("%s by edge: the instance is left alone after %d failures, want 5", service, failures)
		}
	}
	for _, by := range []string{"client", "edge"} {
		if n := f.ejections(t, by); n != 3 {
			t.Errorf("%s: %d ejections, want 3", by, n)
		}
	}
}
