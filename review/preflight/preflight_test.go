package preflight

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
)

// told is an address that answers each path with that, by a clock that is off.
func told(t *testing.T, answers map[string]any, off time.Duration) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		if err := json.NewEncoder(w).Encode(answers[r.URL.Path]); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func current(node, version string) serve.Proxy {
	return serve.Proxy{
		Node: node, Connected: true, Version: version,
		Types: []serve.TypeStatus{{Type: "LDS", State: serve.StateCurrent}},
	}
}

func certs(ends ...time.Time) map[string]any {
	var list []any
	for _, at := range ends {
		list = append(list, map[string]any{"cert_chain": []any{map[string]any{
			"path": "tls.crt", "expiration_time": at.UTC().Format(time.RFC3339),
		}}})
	}
	return map[string]any{"/certs": map[string]any{"certificates": list}}
}

// failures are the checks that are not good. Each of them has a hint.
func failures(t *testing.T, from Sources) (out []string) {
	t.Helper()
	for _, r := range Run(t.Context(), from) {
		if r.Good != (r.Hint == "") || r.Text == "" {
			t.Errorf("%+v", r)
		}
		if !r.Good {
			out = append(out, r.Check+": "+r.Text)
		}
	}
	return out
}

// Each check fails for its cause alone.
func TestChecksFailForTheirCauses(t *testing.T) {
	now := time.Now()
	good := func() *serve.Report {
		return &serve.Report{
			Mesh:    "shop",
			Proxies: []serve.Proxy{current("service/cart/a", "1.40.0"), current("service/web/a", "1.40.0")},
			Holders: []serve.Holder{
				{Name: "a", Until: now.Add(time.Minute), Keeps: true}, {Name: "b", Until: now.Add(24 * time.Hour)},
			},
		}
	}
	enough := Limits{Inotify: 1024, Files: 65536}
	for want, change := range map[string]func(*serve.Report, *Sources, *time.Duration){
		"":                           func(*serve.Report, *Sources, *time.Duration) {},
		"server: ":                   func(_ *serve.Report, s *Sources, _ *time.Duration) { s.Servers[0] = "127.0.0.1:1" },
		"mesh: the mesh on its disk": func(r *serve.Report, _ *Sources, _ *time.Duration) { r.Failure = "MC0201" },
		"mesh: it serves no mesh":    func(r *serve.Report, _ *Sources, _ *time.Duration) { r.Mesh = "" },
		"proxies: service/cart/a: not connected": func(r *serve.Report, _ *Sources, _ *time.Duration) {
			r.Proxies[0].Connected = false
		},
		"proxies: service/cart/a: refused": func(r *serve.Report, _ *Sources, _ *time.Duration) {
			r.Proxies[0].Types[0].State = serve.StateRefused
		},
		"envoy versions: proxies run several versions of Envoy: 1.39.0: service/cart/a; 1.40.0: service/web/a": func(
			r *serve.Report, _ *Sources, _ *time.Duration,
		) {
			r.Proxies[0].Version = "1.39.0"
		},
		"certificates: certificates end soon: b": func(r *serve.Report, _ *Sources, _ *time.Duration) {
			r.Holders[1].Until = now.Add(time.Minute)
		},
		"certificates: certificates end soon: a": func(r *serve.Report, _ *Sources, _ *time.Duration) {
			r.Holders[0].EndsSoon = true
		},
		"clocks: its clock is -": func(_ *serve.Report, _ *Sources, off *time.Duration) { *off = -time.Minute },
		"clocks: its clock is":   func(_ *serve.Report, _ *Sources, off *time.Duration) { *off = time.Minute },
		"certificates: a certificate ends at": func(_ *serve.Report, s *Sources, _ *time.Duration) {
			s.Envoys[0] = told(t, certs(now.Add(48*time.Hour), now.Add(time.Minute)), 0)
		},
		"clocks: its clock": func(_ *serve.Report, s *Sources, _ *time.Duration) {
			s.Envoys[0] = told(t, certs(now.Add(48*time.Hour)), 2*time.Hour)
		},
		"certificates: it does not answer as expected": func(_ *serve.Report, s *Sources, _ *time.Duration) {
			s.Envoys[0] = told(t, map[string]any{"/certs": "x"}, 0)
		},
		"inotify: a user may have 128":        func(_ *serve.Report, s *Sources, _ *time.Duration) { s.Limits.Inotify = 128 },
		"open files: a process may have 1024": func(_ *serve.Report, s *Sources, _ *time.Duration) { s.Limits.Files = 1024 },
	} {
		report, off := good(), time.Duration(0)
		from := Sources{
			Servers: []string{""}, Envoys: []string{told(t, certs(now.Add(48*time.Hour)), 0)}, Limits: enough,
		}
		change(report, &from, &off)
		if from.Servers[0] == "" {
			from.Servers[0] = told(t, map[string]any{"/status": report}, off)
		}
		got := failures(t, from)
		if want == "" && got != nil || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("%q: %q", want, got)
		}
	}
}

// Each server knows its own proxies: what is absent at one may be connected to another.
func TestServersKnowTheirOwnProxies(t *testing.T) {
	absent := serve.Proxy{Node: "service/cart/a"}
	here, there := &serve.Report{Mesh: "shop", Proxies: []serve.Proxy{current("service/cart/a", "1.40.0")}},
		&serve.Report{Mesh: "shop", Proxies: []serve.Proxy{absent}}
	from := Sources{Servers: []string{
		told(t, map[string]any{"/status": here}, 0), told(t, map[string]any{"/status": there}, 0),
	}}
	if got := failures(t, from); got != nil {
		t.Errorf("%q", got)
	}
}

func TestLimitsOfThisMachine(t *testing.T) {
	limits := LimitsOfThisMachine()
	checked := limits.results()
	if limits.Files == 0 || !slices.ContainsFunc(checked, func(r Result) bool {
		return r.Check == OpenFiles && r.Text == fmt.Sprintf("a process may have %d files open", limits.Files)
	}) {
		t.Errorf("%+v: %+v", limits, checked)
	}
}
