package local

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/host/app"
)

// versions counts who answers n requests.
func versions(t testing.TB, c *http.Client, n int, url func(i int) string, headers ...string) map[string]int {
	t.Helper()
	by := map[string]int{}
	for i := range n {
		by[get(t, c, url(i), headers...).Version]++
	}
	return by
}

func always(url string) func(int) string { return func(int) string { return url } }

// Instances take turns.
//
// Field: loadBalancer.policy
func TestRoundRobin(t *testing.T) {
	// Each of Envoy's two to sixteen workers goes round by itself; one connection stays at one.
	c := client(t)
	by := versions(t, c, 90, always("http://round-robin:8080/"))
	for _, v := range []string{"a", "b", "c"} {
		if by[v] < 28 || by[v] > 32 {
			t.Errorf("90 requests: %v", by)
		}
	}
}

// Instances are chosen at random, and not by turns.
//
// Field: loadBalancer.policy
func TestRandom(t *testing.T) {
	var row string
	by := map[string]int{}
	for range 300 {
		v := get(t, client(t), "http://random:8080/").Version
		by[v]++
		row += v
	}
	for _, v := range []string{"a", "b", "c"} {
		if by[v] < 60 || by[v] > 140 { // five standard deviations
			t.Errorf("300 requests: %v", by)
		}
	}
	if row[:99] == row[3:102] {
		t.Errorf("it goes round: %s", row[:102])
	}
}

// The instance that has more to do than the others gets fewer requests: it is
// chosen only where both of two that are looked at are it, 1 time in 9.
//
// Field: loadBalancer.policy
func TestLeastRequest(t *testing.T) {
	mesh := trafficMesh(t)
	done := make(chan error, 1)
	go func() {
		_, err := trySend(t.Context(), client(t), "GET", "http://least:8080/slow?delay=2s")
		done <- err
	}()
	busy := ""
	eventually(t, "the slow request", func() bool {
		for _, v := range []string{"a", "b", "c"} {
			if len(seen(mesh.Backend("least", v), "/slow?delay=2s")) > 0 {
				busy = v
			}
		}
		return busy != ""
	})
	by := versions(t, client(t), 200, always("http://least:8080/"))
	if by[busy] > 44 { // 22 are expected; by turns it would be 67
		t.Errorf("%s is busy, and of 200 requests: %v", busy, by)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Requests of the same hash go to the same instance, and those of different ones
// to all.
//
// Field: loadBalancer.hash
func TestHash(t *testing.T) {
	header := func(i int) *app.Report {
		return get(t, client(t), "http://hash-header:8080/", "x-user", fmt.Sprint("user-", i))
	}
	query := func(i int) *app.Report { return get(t, client(t), fmt.Sprint("http://hash-query:8080/?user=", i)) }
	for name, send := range map[string]func(int) *app.Report{"header": header, "query": query} {
		used := map[string]bool{}
		for i := range 30 {
			first := send(i).Version
			used[first] = true
			for range 3 {
				if again := send(i).Version; again != first {
					t.Fatalf("%s: user %d went to %s and to %s", name, i, first, again)
				}
			}
		}
		if len(used) != 3 {
			t.Errorf("%s: 30 users went to %v", name, used)
		}
	}
	if by := versions(t, client(t), 30, always("http://hash-source:8080/")); len(by) != 1 {
		t.Errorf("one address went to %v", by)
	}
}

// The proxy gives a client without a cookie one, and then knows it.
//
// Field: loadBalancer.hash.cookie
func TestHashOfCookie(t *testing.T) {
	ask := func(cookie string) full {
		return exchange(t, client(t), "GET", "http://hash-cookie:8080/", "", "cookie", cookie)
	}
	first := ask("other=1")
	cookies := (&http.Response{Header: first.header}).Cookies()
	if len(cookies) != 1 || cookies[0].Name != "session" || cookies[0].MaxAge != 600 {
		t.Fatalf("the cookie is %v", first.header.Values("set-cookie"))
	}
	for range 10 {
		again := ask("session=" + cookies[0].Value)
		if again.report.Version != first.report.Version || again.header.Get("set-cookie") != "" {
			t.Fatalf("a known client went to %s and then to %s, with the cookie %q", first.report.Version,
				again.report.Version, again.header.Get("set-cookie"))
		}
	}
	used := map[string]bool{}
	for i := range 30 {
		used[ask(fmt.Sprint("session=", i)).report.Version] = true
	}
	if len(used) != 3 {
		t.Errorf("30 clients went to %v", used)
	}
}

// An instance of eight times the weight gets eight times the requests.
//
// Field: workload.endpoints.weight
func TestWeightsOfEndpoints(t *testing.T) {
	by := versions(t, client(t), 500, always("http://weights:8080/"))
	if by["a"] < 350 || by["a"] > 450 || by["b"] < 20 || by["c"] < 20 { // 8 of 10
		t.Errorf("500 requests: %v", by)
	}
}

const warming = `package warming

mesh: {name: "warming", trustDomain: "warming.example"}

services: client: {
	workload: deployment: "client"
	uses: warm: {}
}
services: warm: {
	workload: deployment: "warm"
	ports: http: {port: 8081, protocol: "http"}
	versions: {a: labels: version: "a", b: labels: version: "b"%s}
	allow: [{from: services: ["client"]}]
	loadBalancer: {policy: "round-robin", slowStart: "3s"}
}
`

// A new instance gets a tenth of its share at first.
//
// Field: loadBalancer.slowStart
func TestSlowStart(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": fmt.Sprintf(warming, "")}))
	c := mesh.As("client").Client()
	for begun := time.Now(); time.Since(begun) < 3*time.Second; { // a and b are new too
		get(t, c, "http://warm:8081/")
	}
	if err := mesh.Update(t.Context(),
		inline(t, map[string]string{"mesh.cue": fmt.Sprintf(warming, `, c: labels: version: "c"`)})); err != nil {
		t.Fatal(err)
	}
	by := map[string]int{}
	eventually(t, "the first request at the new instance", func() bool {
		by[get(t, c, "http://warm:8081/").Version]++
		return by["c"] == 1
	})
	by = versions(t, c, 100, always("http://warm:8081/"))
	if by["c"] > 20 { // 5 to 8 are expected; its whole share is 33
		t.Errorf("100 requests: %v", by)
	}
	eventually(t, "its whole share", func() bool {
		by = versions(t, c, 30, always("http://warm:8081/"))
		return by["c"] == 10
	})
}
