package envoy

import (
	"maps"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
)

// TestRetryBudgetOfCluster wants the budget of what is in force for the calls that lead to a cluster, and of no other:
// a gateway's route is nearer than the callee's own, a route of another service may lead there, and connections of a
// listener or a use below HTTP have no retries.
func TestRetryBudgetOfCluster(t *testing.T) {
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
gateways: public: {
	listeners: {http: port: 80, db: {port: 5432, protocol: "tcp", to: {service: "cart", port: "db"}}}
	routes: [{to: [{service: "cart", port: "http"}], retries: budget: {percent: 50, minConcurrency: 9}}]
	uses: cart: {}
}
services: front: {workload: deployment: "front", uses: {cart: {}, near: retries: budget: {percent: 40, minConcurrency: 7}}}
services: cart: {
	workload: deployment: "cart", allow: [{from: {gateways: ["public"], services: ["front"]}}]
	ports: {http: {port: 80, protocol: "http"}, db: {port: 5432, protocol: "tcp"}}
	retries: budget: {percent: 10, minConcurrency: 1}
	routes: [
		{match: path: prefix: "/own", retries: budget: {percent: 10, minConcurrency: 1}},
		{match: path: prefix: "/stock", to: [{service: "stock"}], retries: budget: {percent: 5, minConcurrency: 8}},
	]
}
services: near: {
	workload: deployment: "near", ports: http: {port: 80, protocol: "http"}, allow: [{from: services: ["front"]}]
	routes: [{match: path: prefix: "/x", retries: budget: percent: 1}]
}
services: stock: {
	workload: deployment: "stock", ports: http: {port: 80, protocol: "http"}, allow: [{from: {gateways: ["public"], services: ["front"]}}]
	retries: budget: {percent: 60, minConcurrency: 2}
}
`})
	if r.Mesh == nil {
		t.Fatalf("%+v", r.Diagnostics)
	}
	public, front := r.Mesh.GatewayScope(r.Mesh.Gateway("public")), r.Mesh.ServiceScope(r.Mesh.Service("front"))
	if got, want := retryBudgets(&public), (map[string]budget{"cart": {50, 9}, "stock": {50, 9}}); !maps.Equal(got,
		want) {
		t.Errorf("the gateway has %v, want %v", got, want)
	}
	if got, want := retryBudgets(&front),
		(map[string]budget{"cart": {10, 1}, "near": {40, 7}, "stock": {5, 8}}); !maps.Equal(got, want) {
		t.Errorf("front has %v, want %v", got, want)
	}
}
