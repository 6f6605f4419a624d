package serve_test

import (
	"context"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/update"
	"github.com/meshc/meshc/serve"
)

// shop has services that call one another, to be changed in stages.
const shop = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}

services: [Name=string]: ports: http: {port: 8080, protocol: "http"}
services: frontend: {
	workload: deployment: "frontend"
	uses: cart: {}
}
services: other: workload: deployment: "other"
services: cart: {
	workload: deployment: "cart"
	allow: [{from: services: ["frontend"]}]
}
services: payment: {
	workload: deployment: "payment"
	allow: [{from: identities: ["spiffe://shop.example/ns/default/sa/old"]}]
}
`

// moved is the shop in which other calls cart, which takes stages, and payment no longer lets an identity in.
func moved(t *testing.T) *ir.Mesh {
	t.Helper()
	text := strings.Replace(shop, `other: workload: deployment: "other"`,
		`other: {workload: deployment: "other", uses: cart: {}}`, 1)
	text = strings.Replace(text, `services: ["frontend"]`, `services: ["frontend", "other"]`, 1)
	text = strings.Replace(text, `allow: [{from: identities: ["spiffe://shop.example/ns/default/sa/old"]}]`,
		`allow: [{from: services: ["frontend"]}]`, 1)
	return compileSpec(t, text)
}

// tells follows a proxy's routes for its own port: whether each answer names what the text says.
func tells(t *testing.T, r *running, account, id, text string) <-chan bool {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(r.dial(t, account, time.Hour)).
		DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: node(id), TypeUrl: routeType,
		ResourceNamesSubscribe: []string{"inbound|http"},
	}); err != nil {
		t.Fatal(err)
	}
	out := make(chan bool, 100)
	go func() {
		defer close(out)
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			out <- strings.Contains(answer.String(), text)
			if stream.Send(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl:       answer.TypeUrl,
				ResponseNonce: answer.Nonce,
			}) != nil {
				return
			}
		}
	}()
	return out
}

// TestRevocationWaitsForNobody: a right that is taken back is so in the first stage of a change whose other part takes
// stages, though a proxy never answers.
func TestRevocationWaitsForNobody(t *testing.T) {
	r := start(t)
	before, after := compileSpec(t, shop), moved(t)
	stages := update.Stages(before, after)
	if len(stages) < 2 {
		t.Fatalf("the change has %d stages", len(stages))
	}
	if !ir.Same(stages[0].Service("payment").Allow, after.Service("payment").Allow) {
		t.Error("the first stage lets in whom payment no longer lets in")
	}
	if err := r.SetMesh(before); err != nil {
		t.Fatal(err)
	}
	silent := subscribe(t, testContext(t), r.dial(t, "frontend", time.Hour), "service/frontend/silent")
	if _, err := silent.Recv(); err != nil { // and says nothing
		t.Fatal(err)
	}
	lets := tells(t, r, "payment", "service/payment/a", "sa/old")
	if !<-lets {
		t.Fatal("the identity is not let in at first")
	}
	if err := r.SetMesh(after); err != nil {
		t.Fatal(err)
	}
	if still := <-lets; still {
		t.Error("the first answer after the change lets the identity in still")
	}
}

// TestSilentProxyIsLeftBehindOnce: a change that takes rights back goes on without a proxy that never answers, and the
// stages after that do not wait for it again.
func TestSilentProxyIsLeftBehindOnce(t *testing.T) {
	var log lines
	r := start(t, logged(&log))
	if err := r.SetMesh(compileSpec(t, shop)); err != nil {
		t.Fatal(err)
	}
	silent := subscribe(t, testContext(t), r.dial(t, "frontend", time.Hour), "service/frontend/silent")
	if _, err := silent.Recv(); err != nil {
		t.Fatal(err)
	}
	after := moved(t)
	if err := r.SetMesh(after); err != nil {
		t.Fatal(err)
	}
	const left = "going on without it"
	eventually(t, "the change is served as a whole", func() bool {
		_, body := fetch(t, r, "/mesh")
		return strings.Contains(log.String(), left) && strings.Contains(body, `"name":"shop"`) && r.Rollout().
			Behind == 1
	})
	if n := strings.Count(log.String(), left); n != 1 {
		t.Errorf("it was waited for %d times", n)
	}
}

// TestRefusingProxyBlocksNobody: one that refuses everything is reported and not waited for; an exception takes it out
// of the rollout's report, and not out of the status.
func TestRefusingProxyBlocksNobody(t *testing.T) {
	var log lines
	r := start(t, logged(&log))
	if err := r.SetMesh(compileSpec(t, shop)); err != nil {
		t.Fatal(err)
	}
	stream := subscribe(t, testContext(t), r.dial(t, "frontend", time.Hour), "service/frontend/a")
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil || stream.Send(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl: answer.TypeUrl, ResponseNonce: answer.Nonce, ErrorDetail: &rpcstatus.Status{
					Code:    3,
					Message: "I take nothing",
				},
			}) != nil {
				return
			}
		}
	}()
	eventually(t, "the refusal is reported",
		func() bool { return strings.Contains(r.Rollout().Refused, "I take nothing") })
	after := moved(t)
	if err := r.SetMesh(after); err != nil {
		t.Fatal(err)
	}
	lets := tells(t, r, "cart", "service/cart/a", "sa/other")
	for ok := false; !ok; { // the last stage comes
		ok = <-lets
	}
	if strings.Contains(log.String(), "going on without it") {
		t.Error("the change waited for the proxy that refuses")
	}
	excepted := after.Clone()
	excepted.Server.Except = []ir.Exception{{Kind: ir.KindService, Name: "frontend", Reason: "it is being replaced"}}
	if err := r.SetMesh(excepted); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rollout is complete", func() bool {
		now := r.Rollout()
		return now.Refused == "" && now.Behind == 0 && now.Excepted == 1
	})
	report := r.Status()
	for _, p := range report.Proxies {
		if p.Node == "service/frontend/a" && (p.State() != serve.StateRefused || p.Excepted != "it is being replaced") {
			t.Errorf("status says %s, excepted %q", p.State(), p.Excepted)
		}
	}
	if !report.Good() {
		t.Error("the report is not good")
	}
}
