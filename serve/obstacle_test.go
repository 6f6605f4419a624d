package serve_test

import (
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/serve"
)

// TestObstacles wants whoever could be left behind to stand against the next stage, by
// name.
func TestObstacles(t *testing.T) {
	const id, bundle = "spiffe://shop.example/ns/shop/sa/cart", "new"
	now := ca.Rotation{Stage: ca.TrustBoth, Bundle: bundle, Signer: "old"}
	proxy := serve.Proxy{Node: "service/cart/a", Identity: id, Connected: true, Trust: bundle}
	holder := serve.Holder{Identity: id, Name: "host", Trust: bundle}
	report := func(p serve.Proxy, holders ...serve.Holder) *serve.Report {
		return &serve.Report{Rotation: &now, Proxies: []serve.Proxy{p}, Holders: holders}
	}
	late, away, behind, byFile, gone := holder, proxy, proxy, proxy, proxy
	late.Trust, away.Connected, behind.Trust, byFile.Trust, gone.Gone = "before", false, "before", serve.TrustByFile,
		true
	for name, c := range map[string]struct {
		report *serve.Report
		except string
		want   string // "" for nothing
	}{
		"all have taken it":          {report(proxy, holder), "", ""},
		"a host has not":             {report(proxy, late), "", "host (" + id + ") has not taken the stage"},
		"another host of it has not": {report(proxy, holder, late), "", "has not taken the stage"},
		"a proxy has not":            {report(behind, holder), "", "service/cart/a has not taken the stage"},
		"a proxy is away":            {report(away, holder), "", "is not connected"},
		"nobody keeps its files":     {report(proxy), "", "nobody knows whom its files trust"},
		"somebody else's are kept": {
			report(proxy, serve.Holder{Identity: id + "s", Trust: bundle}), "",
			"nobody knows whom its files trust",
		},
		"it has them from files":       {report(byFile), "", ""},
		"its member is gone":           {report(gone), "", ""},
		"a host is gone for good":      {report(proxy, late), "host", ""},
		"a proxy is gone for good":     {report(away), "service/cart/a", ""},
		"an identity is gone for good": {report(away, late), id, ""},
		"another authority": {
			&serve.Report{Rotation: &ca.Rotation{Bundle: "other"}}, "",
			"serves another authority",
		},
		"no authority": {&serve.Report{}, "", "no authority of its own"},
	} {
		got := strings.Join(serve.Obstacles(now, []*serve.Report{c.report}, []string{c.except}, time.Now()), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	now.Stage, now.OldLeaves = ca.SignNew, time.Now().Add(time.Hour)
	if got := serve.Obstacles(now, []*serve.Report{report(proxy, holder)}, nil, time.Now()); len(got) != 1 ||
		!strings.Contains(got[0], "that the old root signed") {
		t.Errorf("while leaves of the old root hold: %q", got)
	}
}

// TestObstaclesOfSeveralServers has servers of which each knows its own proxies: what one has not seen another has,
// and what none has seen stands against the stage.
func TestObstaclesOfSeveralServers(t *testing.T) {
	const id, bundle = "spiffe://shop.example/ns/shop/sa/cart", "new"
	now := ca.Rotation{Stage: ca.TrustBoth, Bundle: bundle, Signer: "old"}
	here := serve.Proxy{Node: "service/cart/a", Identity: id, Connected: true, Trust: bundle}
	away, late := serve.Proxy{Node: here.Node, Identity: id}, here
	late.Trust = "before"
	holder := serve.Holder{Identity: id, Name: "host", Trust: bundle}
	stale := holder
	stale.Trust = "before"
	report := func(p serve.Proxy, h serve.Holder) *serve.Report {
		return &serve.Report{Rotation: &now, Proxies: []serve.Proxy{p}, Holders: []serve.Holder{h}}
	}
	for name, c := range map[string]struct {
		one, other *serve.Report
		want       string // "" for nothing
	}{
		"each has some":      {report(away, stale), report(here, holder), ""},
		"in the other order": {report(here, holder), report(away, stale), ""},
		"nobody has it": {
			report(away, holder), report(away, holder),
			"service/cart/a is not connected: nobody knows whom it trusts",
		},
		"a connection that is behind": {
			report(late, holder), report(here, holder),
			"service/cart/a has not taken the stage",
		},
		"a host that has not come back": {
			report(here, stale), report(here, stale),
			"host (" + id + ") has not taken the stage",
		},
		"a server with another authority": {
			report(here, holder),
			&serve.Report{Rotation: &ca.Rotation{Bundle: "other"}},
			"meshc serve has not taken this stage yet, or serves another authority",
		},
	} {
		if got := strings.Join(serve.Obstacles(now, []*serve.Report{c.one, c.other}, nil, time.Now()),
			"\n"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
