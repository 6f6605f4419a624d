package lever_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/lever"
)

const spec = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-"}
}
services: {
	web: {namespace: "shop", workload: deployment: "web", uses: {store: {}, bytes: {}, named: {}, peers: {}, pay: {}}}
	batch: {namespace: "shop", workload: deployment: "batch", uses: store: {}}
	store: {
		namespace: "shop", workload: deployment: "store"
		ports: http: {port: 8080, target: 8081, protocol: "http"}
		versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
		routes: [{match: headers: "x-beta": exact: "1", to: [{version: "v2"}]}]
		allow: [{from: {services: ["web", "batch"], gateways: ["edge"]}}]
	}
	bytes: {
		namespace: "shop", workload: deployment: "bytes"
		ports: bytes: {port: 9000, protocol: "tcp"}
		allow: [{from: services: ["web"]}]
	}
	named: {
		namespace: "shop", workload: dns: "named.example"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["web"]}]
	}
	peers: {
		namespace: "shop", workload: statefulSet: "peers"
		ports: data: {port: 9000, protocol: "tcp"}
		uses: peers: {}
		allow: [{from: services: ["web", "peers"]}]
	}
}
external: pay: {hosts: ["pay.example"], ports: https: {port: 443, protocol: "http"}}
gateways: edge: {
	namespace: "shop"
	listeners: http: port: 80
	routes: [{match: {host: "shop.example", path: prefix: "/"}, to: [{service: "store"}]}]
	uses: store: {}
}
`

func compiled(t *testing.T, more ...string) *ir.Mesh {
	t.Helper()
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": spec + strings.Join(more, "\n")})
	if r.Mesh == nil {
		t.Fatalf("%v", r.Diagnostics)
	}
	return r.Mesh
}

// Every cluster by which a proxy calls others is in the layer of a lever for all its callees, and nobody else's proxies
// have a layer.
func TestLayerHasEveryCluster(t *testing.T) {
	m := compiled(t)
	for _, to := range []string{"store", "bytes", "named", "peers", "pay"} {
		callee, err := lever.Callee(m, to)
		if err != nil {
			t.Fatal(err)
		}
		list := []lever.Lever{{Kind: lever.Shed, To: callee, Percent: 100, Until: time.Now().Add(time.Hour)}}
		clusters := 0
		for _, s := range m.Services {
			layer, _ := lever.Layer(list, m, ir.KindService, s.Name, s.Identity)
			if uses := ir.UseOf(s.Uses, to) != nil; uses != (len(layer) > 0) {
				t.Errorf("%s uses %s: %v, and its proxies are told %v", s.Name, to, uses, layer)
			}
			built, err := envoy.Build(m.ServiceScope(s), envoy.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range built.Clusters {
				said := c.GetMetadata().GetFilterMetadata()["meshc"].GetFields()["callee"].GetStringValue()
				if said != to && said != to+".shop" || strings.HasPrefix(c.Name, "inbound") ||
					strings.HasSuffix(c.Name, "|now") || strings.HasSuffix(c.Name, "|last") { // parts of one
					continue
				}
				clusters++
				_, http := layer["upstream.maintenance_mode."+c.Name]
				_, tcp := layer["circuit_breakers."+c.Name+".default.max_connections"]
				if !http && !tcp {
					t.Errorf("%s: the cluster %s is not in the layer %v", s.Name, c.Name, layer)
				}
			}
		}
		if clusters == 0 {
			t.Errorf("no proxy has a cluster of %s", to)
		}
	}
}

// Of two levers for the same calls the stricter one holds, and the layer ends with the first of them.
func TestLeversTogether(t *testing.T) {
	m, now := compiled(t), time.Now()
	store, edge := ir.ServiceRef("store"), m.Gateway("edge")
	list := []lever.Lever{
		{Kind: lever.Shed, To: store, Percent: 20, Until: now.Add(time.Hour)},
		{Kind: lever.Shed, To: store, From: ir.GatewayRef("edge"), Percent: 50, Until: now.Add(time.Minute)},
		{Kind: lever.Limit, To: store, Requests: 7, Until: now.Add(time.Hour)},
		{Kind: lever.Limit, To: store, Requests: 9, Until: now.Add(time.Hour)},
		{Kind: lever.RetriesOff, From: ir.GatewayRef("edge"), Until: now.Add(time.Hour)},
	}
	layer, ends := lever.Layer(list, m, ir.KindGateway, "edge", edge.Identity)
	if !ends.Equal(now.Add(time.Minute)) || layer["upstream.maintenance_mode.store.shop|http"] != uint32(50) ||
		layer["circuit_breakers.store.shop|http.default.max_requests"] != uint32(7) || layer["upstream.use_retry"] != 0 {
		t.Errorf("it ends at %v and is %v", ends, layer)
	}
	layer, ends = lever.Layer(list, m, ir.KindService, "web", m.Service("web").Identity)
	if !ends.Equal(now.Add(time.Hour)) || layer["upstream.maintenance_mode.store.shop|http"] != uint32(20) ||
		layer["upstream.use_retry"] != nil {
		t.Errorf("of another caller it ends at %v and is %v", ends, layer)
	}
}

// What a lever prints compiles.
func TestPermanentCompiles(t *testing.T) {
	m := compiled(t)
	for _, l := range []lever.Lever{
		{Kind: lever.Shed, To: ir.ServiceRef("store"), From: ir.ServiceRef("batch"), Percent: 100},
		{Kind: lever.Shed, To: ir.ServiceRef("store"), Percent: 10},
		{Kind: lever.Shed, To: ir.ExternalRef("pay"), Percent: 100},
		{Kind: lever.Limit, To: ir.ServiceRef("store"), Requests: 5},
		{Kind: lever.RetriesOff, To: ir.ServiceRef("store")},
		{Kind: lever.RetriesOff},
	} {
		text := l.Permanent(m)
		if text == "" {
			t.Errorf("%s: nothing", l.String())
		}
		compiled(t, text)
	}
}

func TestWrongLevers(t *testing.T) {
	m, now := compiled(t), time.Now()
	good := lever.Lever{
		ID: "1", Kind: lever.Shed, To: ir.ServiceRef("store"), Percent: 100, Reason: "INC-7", Until: now.Add(time.Hour),
	}
	if err := good.Check(m, now); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*lever.Lever){
		"has an id":                  func(l *lever.Lever) { l.ID = "" },
		"say why":                    func(l *lever.Lever) { l.Reason = "" },
		"in one line":                func(l *lever.Lever) { l.Reason = "a\nb" },
		"lasts at most 24h0m0s":      func(l *lever.Lever) { l.Until = now.Add(25 * time.Hour) },
		"ends in the future":         func(l *lever.Lever) { l.Until = now },
		"0 percent":                  func(l *lever.Lever) { l.Percent = 0 },
		"0 requests are no bound":    func(l *lever.Lever) { l.Kind = lever.Limit },
		`"pull" is not shed, limit`:  func(l *lever.Lever) { l.Kind = "pull" },
		"name the callee":            func(l *lever.Lever) { l.To = ir.Ref{} },
		"does not use service store": func(l *lever.Lever) { l.From = ir.ServiceRef("bytes") },
		"all changes of the mesh":    func(l *lever.Lever) { l.Kind = lever.Freeze },
		"nobody makes such calls":    func(l *lever.Lever) { l.To = ir.ServiceRef("web") },
	} {
		wrong := good
		change(&wrong)
		if err := wrong.Check(m, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	open := lever.Lever{
		ID: "1", Kind: lever.Open, From: ir.ServiceRef("web"), To: ir.ServiceRef("store"), Port: "http", Method: "GET",
		Path: "/a/*", Reason: "INC-7", Until: now.Add(lever.LongestOpen),
	}
	if err := open.Check(m, now); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*lever.Lever){
		"for at most 8h0m0s":            func(l *lever.Lever) { l.Until = now.Add(9 * time.Hour) },
		"name the caller":               func(l *lever.Lever) { l.From = ir.Ref{} },
		"name the service":              func(l *lever.Lever) { l.To = ir.Ref{} },
		"does not use service store":    func(l *lever.Lever) { l.From = ir.ServiceRef("bytes") },
		`"GET /" is not a valid method`: func(l *lever.Lever) { l.Method = "GET /" },
		`"a" is not a valid path`:       func(l *lever.Lever) { l.Path = "a" },
		`"/a/../b" is not a valid path`: func(l *lever.Lever) { l.Path = "/a/../b" },
		`"/a//b" is not a valid path`:   func(l *lever.Lever) { l.Path = "/a//b" },
		`"/%61" is not a valid path`:    func(l *lever.Lever) { l.Path = "/%61" },
		`does not call port "admin"`:    func(l *lever.Lever) { l.Port = "admin" },
		"has what is to be opened":      func(l *lever.Lever) { l.To, l.Port = ir.ServiceRef("bytes"), "" },
		"service that is to let it in":  func(l *lever.Lever) { l.To = ir.ExternalRef("pay") },
	} {
		wrong := open
		change(&wrong)
		if err := wrong.Check(m, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open, %q: %v", want, err)
		}
	}
	static := *m
	static.Delivery = ir.DeliveryStatic
	if err := good.Check(&static, now); err == nil || !strings.Contains(err.Error(), "read files") {
		t.Errorf("with delivery static: %v", err)
	}
	if _, err := lever.Caller(m, "gateway web"); err == nil {
		t.Error("a gateway web is found")
	}
	if _, err := lever.Callee(m, "edge"); err == nil {
		t.Error("a gateway is called")
	}
}

// Levers are kept as they are.
func TestLeversAreKept(t *testing.T) {
	list := []lever.Lever{{
		ID: "1", Kind: lever.RetriesOff, From: ir.GatewayRef("edge"), Reason: "INC-7",
		Until: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
	data, err := lever.Encode(list)
	if err != nil {
		t.Fatal(err)
	}
	again, err := lever.Decode(data)
	if err != nil || !slices.Equal(again, list) {
		t.Errorf("%s is read as %+v: %v", data, again, err)
	}
}
