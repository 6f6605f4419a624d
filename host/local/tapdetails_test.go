package local

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve"
)

// Headers and query strings are shown to who asks for them, and to nobody who taps beside him; a header that may hold
// credentials is shown to nobody, and no secret of a query string. Linkerd's tap showed every header, and its users
// asked for a list of those to leave out: linkerd/linkerd2#10389, envoyproxy/envoy#34187.
//
// Field: mesh.operators.identities
func TestTapShowsTheDetailsThatAreAskedFor(t *testing.T) {
	t.Parallel() // it waits more than it works
	m := start(t, inline(t, map[string]string{"mesh.cue": tapMesh}))
	client, before := m.As("client").Client(), listenersOf(t, m)
	const query = "q=1&access_token=hunter2&page=3&X-Amz-Signature=hunter3&password"
	shown := map[string]string{envoy.TapQuery: "q=1&access_token=[redacted]&page=3&X-Amz-Signature=[redacted]&password=[redacted]"}
	headers := map[string]string{
		envoy.TapHeader + "user-agent": "tester/1", envoy.TapHeader + "content-type": "text/plain",
	}
	both := maps.Clone(shown)
	maps.Copy(both, headers)
	for _, c := range []struct {
		asked serve.TapRequest
		want  map[string]string
	}{
		{serve.TapRequest{From: "client", To: "server"}, nil},
		{serve.TapRequest{From: "client", To: "server", Headers: true}, headers},
		{serve.TapRequest{To: "server", At: "callee", Query: true}, shown},
		{serve.TapRequest{To: "server", At: "callee", Headers: true, Query: true}, both},
	} {
		plain := tapped(t, m, serve.TapRequest{To: c.asked.To, At: c.asked.At, From: c.asked.From}, 1)
		tap := tapped(t, m, c.asked, 1)
		send(t, client, http.MethodGet, "http://server:8080/items/1?"+query, "user-agent", "tester/1", "content-type",
			"text/plain", "authorization", "Bearer hunter4", "cookie", "hunter5", "x-api-key", "hunter6", "x-user", "hunter7")
		for about, with := range map[*tapping]map[string]string{tap: c.want, plain: nil} {
			e := about.next(t)
			got := map[string]string{}
			for name, text := range e.Fields {
				if name == envoy.TapQuery || strings.HasPrefix(name, envoy.TapHeader) {
					got[name] = text
				}
				if strings.Contains(text, "hunter") {
					t.Errorf("%+v: it shows %s: %s", c.asked, name, text)
				}
			}
			for _, ours := range []string{"accept-encoding", "traceparent", "x-forwarded-proto"} {
				delete(got, envoy.TapHeader+ours) // of Go's client and of proxies
			}
			if e.Fields["url.path"] != "/items/1" || e.Fields[envoy.TapDetails] != "" || !maps.Equal(got, with) {
				t.Errorf("%+v: %s with %v, want %v", c.asked, inShort(e), got, with)
			}
		}
		for _, about := range []*tapping{tap, plain} {
			about.stop()
			if err := <-about.ended; err != nil || len(about.events) > 0 {
				t.Errorf("%+v: it ends with %v, and showed %d more", c.asked, err, len(about.events))
			}
		}
	}
	if after := listenersOf(t, m); after != before {
		t.Errorf("listeners changed: %s, before %s", after, before)
	}
}
