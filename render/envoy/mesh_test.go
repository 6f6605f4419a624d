package envoy

import (
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

const trustDomain = "shop.example"

func identity(name string) spiffeid.ID {
	return spiffeid.RequireFromString("spiffe://" + trustDomain + "/ns/shop/sa/" + name)
}

func position(file string, line int) source.Position {
	return source.Position{File: file, Line: line, Column: 2}
}

func peers(names ...string) []ir.Peer {
	var out []ir.Peer
	for _, name := range names {
		kind := ir.KindService
		if name == "public" {
			kind = ir.KindGateway
		}
		out = append(out, ir.Peer{Kind: kind, Name: name, Namespace: "shop", Identity: identity(name)})
	}
	return out
}

func setting[T any](v T) *ir.Setting[T] { return &ir.Setting[T]{Value: v} }

func seconds(s float64) *ir.Setting[ir.Duration] {
	return &ir.Setting[ir.Duration]{Value: ir.Duration(s * float64(time.Second)), Pos: position("seconds.cue", 1)}
}

func proxy(i ir.Interception) ir.Proxy {
	return ir.Proxy{
		Interception: i, InboundPort: 15006, OutboundPort: 15001, AdminPort: 15000,
		CertificateDirectory: "/etc/meshc/certificates", Server: "meshc.shop-system.svc.cluster.local:15010",
	}
}

// shop is a mesh with every kind of workload, port, match, caller and listener.
func shop(delivery ir.Delivery) *ir.Mesh {
	return &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: delivery, Pos: position("mesh.cue", 5)},
		Services: []*ir.Service{billingService(), cartService(), checkoutService(), frontendService()},
		Gateways: []*ir.Gateway{publicGateway()}, Externals: []*ir.External{plainExternal(), stripeExternal()},
	}
}

// frontendService calls all the others, some at addresses of its own.
func frontendService() *ir.Service {
	return &ir.Service{
		Upstream: ir.Upstream{
			Name: "frontend", Namespace: "shop", Identity: identity("frontend"), Pos: position("frontend/service.cue", 3),
			Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.Deployment, Name: "frontend"}},
			Ports: []ir.Port{{
				Name: "http", Number: 80, Target: 8080, Protocol: ir.HTTP,
				Pos: position("frontend/service.cue", 4),
			}},
		},
		Account: "frontend", Proxy: proxy(ir.InterceptRedirect),
		Guards: ir.Guards{Allow: []ir.Rule{{
			From: peers("public"), Methods: []string{"GET", "POST"},
			Paths: []string{"/*"},
		}}},
		Uses: []ir.Use{
			{To: "billing", Ports: []string{"tls"}, Pos: position("frontend/service.cue", 9)},
			{
				To: "cart", Ports: []string{"admin", "http"}, Binds: map[string]string{"http": "127.0.0.1:9101"},
				Pos: position("frontend/service.cue", 10),
			},
			{
				To: "checkout", Ports: []string{"grpc"}, Traffic: ir.Traffic{Timeout: seconds(2)},
				Pos: position("frontend/service.cue", 11),
			},
			{
				To: "plain", External: true, Ports: []string{"http", "sql"},
				Binds: map[string]string{"sql": "127.0.0.1:9102"}, Pos: position("frontend/service.cue", 12),
			},
			{To: "stripe", External: true, Ports: []string{"https"}, Pos: position("frontend/service.cue", 13)},
		},
	}
}

// billingService is found by DNS, and its application ends TLS.
func billingService() *ir.Service {
	return &ir.Service{
		Upstream: ir.Upstream{
			Name: "billing", Namespace: "shop", Identity: identity("billing"), Pos: position("billing/service.cue", 3),
			Workload: ir.Workload{DNS: "billing.internal"},
			Ports: []ir.Port{{
				Name: "tls", Number: 8443, Target: 8443, Protocol: ir.TLS,
				Pos: position("billing/service.cue", 4),
			}},
		},
		Account: "billing", Proxy: proxy(ir.InterceptRedirect),
		Guards: ir.Guards{Allow: []ir.Rule{{From: peers("frontend")}}},
	}
}

// cartService has two instances, one of which has other ports, and rules by port, method and path.
func cartService() *ir.Service {
	return &ir.Service{
		Upstream: ir.Upstream{
			Name: "cart", Namespace: "shop", Identity: identity("cart"), Explicit: true, Pos: position("cart/service.cue", 3),
			Workload: ir.Workload{Endpoints: []ir.Endpoint{
				{
					Name: "a", Address: "10.0.0.1", Ports: map[string]uint16{"admin": 7071, "http": 7070}, Zone: "eu-1",
					Weight: 2,
				},
				{
					Name: "b", Address: "10.0.0.2", Ports: map[string]uint16{"admin": 7071, "http": 7072},
					Targets: map[string]uint16{"http": 9999}, Zone: "eu-2", Weight: 1,
				},
			}},
			Ports: []ir.Port{
				{Name: "admin", Number: 7071, Target: 17071, Protocol: ir.TCP, Pos: position("cart/service.cue", 4)},
				{Name: "http", Number: 7070, Target: 17070, Protocol: ir.HTTP, Pos: position("cart/service.cue", 5)},
			},
		},
		Account: "cart", Proxy: proxy(ir.InterceptExplicit),
		Guards: ir.Guards{Allow: []ir.Rule{
			{
				From: peers("frontend"), Ports: []string{"http"}, Paths: []string{"/cart", "/cart/*"},
				Pos: position("cart/service.cue", 8),
			},
			{From: peers("frontend", "public"), Methods: []string{"GET"}, Pos: position("cart/service.cue", 9)},
			{From: peers("frontend"), Ports: []string{"admin"}, Pos: position("cart/service.cue", 10)},
		}},
	}
}

// checkoutService has two versions, and speaks gRPC and HTTP/2.
func checkoutService() *ir.Service {
	return &ir.Service{
		Upstream: ir.Upstream{
			Name: "checkout", Namespace: "shop", Identity: identity("checkout"), Pos: position("checkout/service.cue", 3),
			Workload: ir.Workload{Endpoints: []ir.Endpoint{
				{
					Name: "v1", Address: "10.0.1.1", Ports: map[string]uint16{"grpc": 5050, "rest": 5051}, Weight: 1,
					Labels: map[string]string{"version": "v1"},
				},
				{
					Name: "v2", Address: "10.0.1.2", Ports: map[string]uint16{"grpc": 5050, "rest": 5051}, Weight: 1,
					Labels: map[string]string{"version": "v2"},
				},
			}},
			Ports: []ir.Port{
				{Name: "grpc", Number: 5050, Target: 5050, Protocol: ir.GRPC, Pos: position("checkout/service.cue", 4)},
				{Name: "rest", Number: 5051, Target: 5051, Protocol: ir.HTTP2, Pos: position("checkout/service.cue", 5)},
			},
			Versions: []ir.Version{
				{Name: "v1", Labels: map[string]string{"version": "v1"}},
				{Name: "v2", Labels: map[string]string{"version": "v2"}},
			},
			Routes: checkoutRoutes(),
		},
		Account: "checkout", Proxy: proxy(ir.InterceptRedirect),
		Guards: ir.Guards{Allow: []ir.Rule{
			{
				From: peers("frontend", "public"), Methods: []string{"GET", "POST"},
				Paths: []string{"/shop.Checkout/*", "/health"}, Pos: position("checkout/service.cue", 50),
			},
		}},
	}
}

// checkoutRoutes match by method, header, query and each sort of path, and go to versions, ports and by weight.
func checkoutRoutes() []ir.Route {
	return []ir.Route{
		{
			Name: "beta testers", Pos: position("checkout/service.cue", 10),
			Match: ir.Match{Method: "POST", Headers: []ir.StringMatch{
				{Name: "x-any", Kind: ir.MatchPresent},
				{Name: "x-beta", Kind: ir.MatchExact, Value: "1"},
				{Name: "x-no", Kind: ir.MatchAbsent},
				{Name: "x-pre", Kind: ir.MatchPrefix, Value: "a"},
				{Name: "x-re", Kind: ir.MatchRegex, Value: "a|b"},
			}},
			To: []ir.Destination{{Service: "checkout", Version: "v2", Weight: 1}},
		},
		{
			Name: "query", Pos: position("checkout/service.cue", 20),
			Match: ir.Match{Path: ir.PathMatch{
				Kind:  ir.MatchRegex,
				Value: "/v[0-9]+/(" + strings.Repeat("[a-z0-9]{1,8}|", 40) + ").*",
			}, Query: []ir.StringMatch{
				{Name: "debug", Kind: ir.MatchPresent},
				{Name: "q", Kind: ir.MatchExact, Value: "1"},
				{Name: "r", Kind: ir.MatchAbsent},
				{Name: "s", Kind: ir.MatchRegex, Value: "x+"},
			}},
			To: []ir.Destination{{Service: "checkout", Weight: 1}},
		},
		{
			Name: "canary", Pos: position("checkout/service.cue", 30),
			Match: ir.Match{
				Path:  ir.PathMatch{Kind: ir.MatchPrefix, Value: "/shop.Checkout/"},
				Query: []ir.StringMatch{{Name: "r", Kind: ir.MatchAbsent}},
			},
			To: []ir.Destination{
				{Service: "checkout", Version: "v1", Weight: 95},
				{Service: "checkout", Version: "v2", Weight: 5},
			},
			Traffic: ir.Traffic{
				Timeout: seconds(3), Attempts: setting[uint32](2), PerTryTimeout: seconds(0.9),
				RetryOn:       setting([]ir.RetryCondition{"unavailable", "reset", "connect-failure"}),
				BudgetPercent: setting(10.0),
			},
		},
		{
			Name: "GET /health", Pos: position("checkout/service.cue", 40),
			Match: ir.Match{Method: "GET", Path: ir.PathMatch{Kind: ir.MatchExact, Value: "/health"}},
			To:    []ir.Destination{{Service: "checkout", Port: "rest", Weight: 1}},
		},
	}
}

// publicGateway has two listeners, and leads to checkout and, otherwise, to cart.
func publicGateway() *ir.Gateway {
	return &ir.Gateway{
		Name: "public", Namespace: "shop", Account: "public", Identity: identity("public"),
		Proxy: proxy(ir.InterceptRedirect), Pos: position("public/gateway.cue", 3),
		Listeners: []ir.Listener{
			{Name: "http", Port: 8080, Hosts: []string{"*"}, Pos: position("public/gateway.cue", 4)},
			{Name: "internal", Port: 8081, Hosts: []string{"*.shop.example"}, Pos: position("public/gateway.cue", 5)},
		},
		Routes: []ir.Route{
			{
				Name: "api", Match: ir.Match{Host: "api.shop.example", Path: ir.PathMatch{
					Kind:  ir.MatchPrefix,
					Value: "/shop.Checkout/",
				}}, Pos: position("public/gateway.cue", 8),
				To: []ir.Destination{{Service: "checkout", Version: "v1", Port: "grpc", Weight: 1}},
			},
			{
				Name: "all", Pos: position("public/gateway.cue", 9),
				To: []ir.Destination{{Service: "cart", Port: "http", Weight: 1}}, Traffic: ir.Traffic{
					Attempts: setting[uint32](1), BudgetPercent: setting(5.0), MinConcurrency: setting[uint32](1),
				},
			},
		},
		Uses: []ir.Use{
			{To: "cart", Ports: []string{"http"}, Pos: position("public/gateway.cue", 12)},
			{To: "checkout", Ports: []string{"grpc"}, Pos: position("public/gateway.cue", 13)},
		},
	}
}

// plainExternal is called without TLS.
func plainExternal() *ir.External {
	return &ir.External{
		Name: "plain", Hosts: []string{"plain.example", "other.example"}, Pos: position("mesh.cue", 20),
		Ports: []ir.Port{
			{Name: "http", Number: 80, Target: 80, Protocol: ir.HTTP},
			{Name: "sql", Number: 7071, Target: 7071, Protocol: ir.TCP},
		},
	}
}

// stripeExternal is called by HTTPS, with roots of its own.
func stripeExternal() *ir.External {
	return &ir.External{
		Name: "stripe", Hosts: []string{"api.stripe.example"}, Pos: position("mesh.cue", 21), Roots: "/etc/meshc/roots.pem",
		Ports:   []ir.Port{{Name: "https", Number: 443, Target: 443, Protocol: ir.HTTPS}},
		Traffic: ir.Traffic{Timeout: seconds(10)},
	}
}
