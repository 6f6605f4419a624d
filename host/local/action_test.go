package local

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/host/app"
)

// Headers of requests and of answers are set, added and removed, on that route alone.
//
// Field: routes.headers
func TestHeaderEdits(t *testing.T) {
	sent := []string{"x-set", "old", "x-add", "first", "x-remove", "gone"}
	got := exchange(t, client(t), "GET", "http://headers:8080/edited", "", sent...)
	want := map[string]string{"x-set": "new", "x-add": "first, second", "x-remove": "", "x-percent": "100%"}
	for name, value := range want {
		if got.report.Headers[name] != value {
			t.Errorf("the application saw %s: %q, want %q", name, got.report.Headers[name], value)
		}
	}
	if got.header.Get("server") != "hidden" || got.header.Get("cache-control") != "no-store" ||
		got.header.Get("content-type") != "" {
		t.Errorf("the client got %v", got.header)
	}
	other := exchange(t, client(t), "GET", "http://headers:8080/other", "", sent...)
	if h := other.report.Headers; h["x-set"] != "old" || h["x-add"] != "first" || h["x-remove"] != "gone" ||
		other.header.Get("cache-control") != "" {
		t.Errorf("another route's request is edited: %v, %v", h, other.header)
	}
}

// Paths are rewritten by prefix, template and regular expression, and hosts by name;
// queries stay.
//
// Field: routes.rewrite
func TestRewrite(t *testing.T) {
	for path, want := range map[string]string{
		"/old/a/b?q=1":          "/new/a/b?q=1",
		"/old/old/a":            "/new/old/a",
		"/exact":                "/whole",
		"/v12/cart/7/items?a=b": "/cart/?a=b",
		"/users/7/orders/a/b":   "/orders/a/b/of/7",
		"/regex/abc-12/x":       "/regex/12-abc/x",
		"/untouched?x=/old/":    "/untouched?x=/old/",
	} {
		r := get(t, client(t), "http://rewrite:8080"+path)
		if r.Path != want || r.Host != "rewrite" && r.Host != "rewrite:8080" {
			t.Errorf("%s came as %s%s, want %s", path, r.Host, r.Path, want)
		}
	}
	if r := get(t, client(t), "http://rewrite:8080/host"); r.Host != "inner.example" || r.Path != "/host" {
		t.Errorf("the host came as %s%s", r.Host, r.Path)
	}
}

// A gateway rewrites first, and the service's own routes are for the rewritten path.
//
// Field: routes.rewrite
func TestRewriteAtTheGateway(t *testing.T) {
	url := trafficMesh(t).Gateway("edge").URL
	for path, want := range map[string]string{
		"/api/rewrite/x?q=1":  "/x?q=1",
		"/api/rewrite/old/a":  "/new/a",
		"/api/rewrite/exact":  "/whole",
		"/api/rewrite/exact2": "/exact2",
		"/short/b":            "/new/a/b",
	} {
		if r := get(t, http.DefaultClient, url+path); r.Path != want {
			t.Errorf("%s came as %s, want %s", path, r.Path, want)
		}
	}
	if r := get(t, http.DefaultClient, url+"/api/rewrite/host"); r.Host != "inner.example" || r.Path != "/host" {
		t.Errorf("the host came as %s%s", r.Host, r.Path)
	}
}

// A route answers with another address.
//
// Field: routes.redirect
func TestRedirect(t *testing.T) {
	for path, want := range map[string]struct {
		status   int
		location string
	}{
		"/old?q=1":        {301, "http://redirect/new?q=1"},
		"/prefix/a/b?q=1": {308, "http://redirect/other/a/b?q=1"},
		"/away":           {302, "https://away.example:8443/away"},
	} {
		got := exchange(t, client(t), "GET", "http://redirect:8080"+path, "")
		location := strings.Replace(got.header.Get("location"), "redirect:8080", "redirect", 1)
		if got.status != want.status || location != want.location {
			t.Errorf("%s: %d %s, want %d %s", path, got.status, location, want.status, want.location)
		}
	}
	edge := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got := exchange(t, edge, "GET", trafficMesh(t).Gateway("edge").URL+"/moved", "")
	if location := got.header.Get("location"); got.status != 301 ||
		!strings.HasPrefix(location, "http://new.example") || !strings.HasSuffix(location, "/here") {
		t.Errorf("at the gateway: %d %s", got.status, location)
	}
}

// A route answers from the proxy itself.
//
// Field: routes.directResponse
func TestDirectResponse(t *testing.T) {
	got := exchange(t, client(t), "GET", "http://redirect:8080/teapot", "")
	if got.status != http.StatusTeapot || got.body != "short and stout" || got.header.Get("x-kind") != "pot" {
		t.Errorf("%d %q %v", got.status, got.body, got.header)
	}
	if got := exchange(t, http.DefaultClient, "GET", trafficMesh(t).Gateway("edge").
		URL+"/health", ""); got.status != http.StatusNoContent || got.body != "" {
		t.Errorf("at the gateway: %d %q", got.status, got.body)
	}
}

// Copies of all, of half or of none of the requests go to a version or to another
// service.
//
// Field: routes.mirror
func TestMirror(t *testing.T) {
	mesh := trafficMesh(t)
	for _, c := range []struct {
		prefix           string
		service, version string
		least, most      int
	}{
		{"/all/", "mirror", "v2", 100, 100},
		{"/half/", "mirror", "v2", 25, 75}, // five standard deviations
		{"/other/", "twin", "a", 100, 100},
		{"/none/", "mirror", "v2", 0, 0},
	} {
		for range 100 {
			if r := get(t, client(t), "http://mirror:8080"+c.prefix); r.Version != "v1" {
				t.Fatalf("%s was answered by %s", c.prefix, r.Version)
			}
		}
		copies := func() []app.Report { return seen(mesh.Backend(c.service, c.version), c.prefix) }
		eventually(t, "the copies of "+c.prefix, func() bool { return len(copies()) >= c.least })
		if n := len(copies()); n > c.most {
			t.Errorf("%s: %d copies, want at most %d", c.prefix, n, c.most)
		}
		for _, r := range copies() {
			if r.Host != "mirror:8080" {
				t.Fatalf("%s: the copy came for %q", c.prefix, r.Host)
			}
		}
	}
}

// A route sends all or a share of the requests to another service.
//
// Field: routes.to.service
func TestRouteToAnotherService(t *testing.T) {
	if r := get(t, client(t), "http://elsewhere:8080/moved/a"); r.Service != "twin" {
		t.Errorf("answered by %s", r.Service)
	}
	if r := get(t, client(t), "http://elsewhere:8080/here"); r.Service != "elsewhere" {
		t.Errorf("answered by %s", r.Service)
	}
	by := map[string]int{}
	for range 100 {
		by[get(t, client(t), "http://elsewhere:8080/split/").Service]++
	}
	if by["twin"] < 25 || by["elsewhere"] < 25 || len(by) != 2 {
		t.Errorf("split: %v", by)
	}
}

// Requests are delayed and aborted, all or a share of them, and what is aborted is
// not sent.
//
// Field: routes.fault
func TestFault(t *testing.T) {
	// Envoy counts from the beginning of its turn, so a timer may be a few
	// milliseconds early.
	timed := func(path string) (full, time.Duration) {
		begun := time.Now()
		got := exchange(t, client(t), "GET", "http://fault:8080"+path, "")
		return got, time.Since(begun)
	}
	if got, took := timed("/delay"); got.report == nil || took < 280*time.Millisecond {
		t.Errorf("delay: %d after %s", got.status, took)
	}
	if got, _ := timed("/abort"); got.status != http.StatusTeapot || got.report != nil {
		t.Errorf("abort: %d", got.status)
	}
	if got, took := timed("/both"); got.status != http.StatusGatewayTimeout || took < 180*time.Millisecond {
		t.Errorf("both: %d after %s", got.status, took)
	}
	if got, _ := timed("/none"); got.status != http.StatusOK {
		t.Errorf("no fault: %d", got.status)
	}
	aborted := 0
	for range 100 {
		if got, _ := timed("/half"); got.status == http.StatusServiceUnavailable {
			aborted++
		}
	}
	if aborted < 25 || aborted > 75 { // five standard deviations
		t.Errorf("half: %d of 100", aborted)
	}
	if n := len(seen(trafficMesh(t).Backend("fault", "a"), "/abort")); n != 0 {
		t.Errorf("%d aborted requests were sent", n)
	}
}

// A call of gRPC is aborted with the status that is written.
//
// Field: routes.fault.abort.grpcStatus
func TestFaultOfGRPC(t *testing.T) {
	conn, err := trafficMesh(t).As("client").GRPC("fault-grpc:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := grpc_health_v1.NewHealthClient(conn)
	if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("without the fault: %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-chaos", "1")
	if _, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("with the fault: %v", err)
	}
}

// Pages of the named origins get leave, and look-alikes do not.
//
// Field: routes.cors
func TestCORS(t *testing.T) {
	const url = "http://cors:8080/api/items"
	for origin, leave := range map[string]bool{
		"https://shop.example":              true,
		"https://a.partner.example":         true,
		"https://a.b.partner.example":       true,
		"https://partner.example":           false,
		"https://shop.example.evil.example": false,
		"https://evilpartner.example":       false,
		"http://shop.example":               false,
		"null":                              false,
	} {
		asked := exchange(t, client(t), "OPTIONS", url, "", "origin", origin, "access-control-request-method", "PUT")
		read := exchange(t, client(t), "GET", url, "", "origin", origin)
		want := ""
		if leave {
			want = origin
		}
		if got := asked.header.Get("access-control-allow-origin"); got != want || asked.report != nil {
			t.Errorf("%s asks: %d, leave for %q", origin, asked.status, got)
		}
		if got := read.header.Get("access-control-allow-origin"); got != want || read.report == nil {
			t.Errorf("%s reads: %d, leave for %q", origin, read.status, got)
		}
		if leave && (asked.header.Get("access-control-allow-methods") != "GET,PUT" ||
			asked.header.Get("access-control-allow-headers") != "x-token" ||
			asked.header.Get("access-control-max-age") != "600" ||
			asked.header.Get("access-control-allow-credentials") != "true" ||
			read.header.Get("access-control-expose-headers") != "x-total") {
			t.Errorf("%s: %v, %v", origin, asked.header, read.header)
		}
	}
}

// A body of exactly the bound goes through, and one byte more is answered with 413.
//
// Field: routes.maxRequestBytes
func TestMaxRequestBytes(t *testing.T) {
	for _, c := range []struct {
		path         string
		size, status int
	}{
		{"/limited/", 1000, http.StatusOK},
		{"/limited/", 1001, http.StatusRequestEntityTooLarge},
		{"/limited/", 100_000, http.StatusRequestEntityTooLarge},
		{"/other/", 100_000, http.StatusOK},
	} {
		if got := exchange(t, client(t), "POST", "http://size:8080"+c.path,
			strings.Repeat("x", c.size)); got.status != c.status {
			t.Errorf("%d bytes to %s: %d, want %d", c.size, c.path, got.status, c.status)
		}
	}
}
