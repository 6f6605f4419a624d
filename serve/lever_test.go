package serve_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/lever"
)

// Whom Kubernetes knows by a token pulls levers where he is named, and nobody else. It is recorded who did and why;
// another server of the same authority has the lever, and so has one that is started later. Nomad's agent took Consul's
// maintenance away again, as it did not know of it (hashicorp/nomad#4537).
func TestLeverByToken(t *testing.T) {
	log := &lockedLog{}
	r := start(t, func(c *serve.Config) {
		c.EnrollListen, c.TokenReview, c.Log = "127.0.0.1:0", users{}, slog.New(slog.NewJSONHandler(log, nil))
	})
	m := operated(t, `kubernetes: {users: ["jane"]}`)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	ask := func(token string, q serve.LeverRequest) (*serve.LeverAnswer, error) {
		t.Helper()
		return r.lever(t, token, q)
	}
	shed := serve.LeverRequest{To: "cart", Pull: &lever.Lever{
		ID: "one", Kind: lever.Shed, Percent: 50, Reason: "INC-7", Until: time.Now().Add(time.Hour), By: "somebody else",
	}}
	for token, want := range map[string]string{
		"joe secret": "joe is not an operator of the mesh shop (mesh.operators)", "secret": "the token is not valid here",
	} {
		if _, err := ask(token, shed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", token, err)
		}
	}
	if _, err := ask("jane x", serve.LeverRequest{End: "one"}); err == nil ||
		!strings.Contains(err.Error(), "no lever of that id is in force") {
		t.Errorf("a lever ends that is not there: %v", err)
	}
	answer, err := ask("jane x", shed)
	if err != nil || len(answer.Levers) != 1 || answer.Levers[0].By != "jane" || answer.Levers[0].To.Name != "cart" {
		t.Fatalf("it answers %+v: %v", answer, err)
	}
	if !slices.Equal(r.Status().Levers, answer.Levers) {
		t.Errorf("the status has %+v", r.Status().Levers)
	}
	other := start(t, func(c *serve.Config) { c.Authority = r.authority })
	other.authority = r.authority
	if !slices.Equal(other.Status().Levers, answer.Levers) {
		t.Errorf("another server has %+v", other.Status().Levers)
	}
	if err := other.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	stream := levered(t, other)
	told, err := stream.Recv()
	if err != nil || told.Resources[0].Name != envoy.LeverLayer ||
		told.Resources[0].Ttl.AsDuration() < 55*time.Minute || told.Resources[0].Ttl.AsDuration() > 61*time.Minute {
		t.Errorf("a proxy of the other server is told %v: %v", told, err)
	}
	if _, err := ask("jane x", serve.LeverRequest{End: "one"}); err != nil {
		t.Error(err)
	}
	if err := other.AuthorityChanged(); err != nil {
		t.Error(err)
	}
	if told, err = stream.Recv(); err != nil || told.Resources[0].Ttl != nil {
		t.Errorf("once it is ended a proxy is told %v: %v", told, err)
	}
	text := log.take()
	for _, want := range []string{
		`"msg":"a lever is pulled","operator":"jane","id":"one","lever":"50 % of the requests of every caller to service cart are refused","reason":"INC-7"`,
		`"msg":"a lever is ended","operator":"jane","id":"one"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not have %s: %s", want, text)
		}
	}
	if strings.Contains(text, "secret") {
		t.Error("a token is in the log")
	}
}

// While changes are frozen a server, and another one of its authority, serve the mesh as it is, and say that another
// one waits. It is taken when the lever ends, by itself or by an operator, unless it has been taken back meanwhile. A
// server that begins has no other mesh. Argo CD's windows blocked changes when they were over (argoproj/argo-cd#5590),
// and did not hold for one of the ways by which changes come (argoproj/argo-cd#11817).
func TestFreeze(t *testing.T) {
	r := start(t, func(c *serve.Config) { c.EnrollListen, c.TokenReview = "127.0.0.1:0", users{} })
	first := operated(t, `kubernetes: {users: ["jane"]}`)
	second := operated(t, `kubernetes: {users: ["jane", "joe"]}`)
	if err := r.SetMesh(first); err != nil {
		t.Fatal(err)
	}
	was := r.Status().Hash
	freeze := func(id string, lasts time.Duration) serve.LeverRequest {
		return serve.LeverRequest{Pull: &lever.Lever{
			ID: id, Kind: lever.Freeze, Reason: "INC-7", Until: time.Now().Add(lasts),
		}}
	}
	other := start(t, func(c *serve.Config) { c.Authority = r.authority })
	if err := other.SetMesh(first); err != nil {
		t.Fatal(err)
	}
	for _, lasts := range []time.Duration{time.Hour, 2 * time.Second} {
		answer := r.pulls(t, freeze("one", lasts))
		if len(answer.Levers) != 1 || answer.Proxies != 0 || answer.Permanent != "" || len(answer.Effects) != 1 {
			t.Errorf("it answers %+v", answer)
		}
		if err := other.AuthorityChanged(); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*running{r, other} {
			for _, m := range []*ir.Mesh{second, first, second} {
				if err := s.SetMesh(m); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Status(); got.Hash != was || !strings.HasPrefix(got.Waiting, "changes are frozen until ") ||
				!strings.HasSuffix(got.Waiting, "(jane: INC-7)") {
				if time.Now().Before(answer.Levers[0].Until) {
					t.Errorf("for %v: %s is served, was %s, and it says %q", lasts, got.Hash, was, got.Waiting)
				}
			}
		}
		if lasts == time.Hour {
			if got := r.Rollout(); !strings.HasPrefix(got.Failure, "changes are frozen until ") {
				t.Errorf("the rollout is %+v", got)
			}
			late := start(t, func(c *serve.Config) { c.Authority = r.authority })
			if err := late.SetMesh(second); err != nil || late.Status().Hash == was || late.Status().Waiting != "" {
				t.Errorf("a server that begins has %+v: %v", late.Status(), err)
			}
			r.pulls(t, serve.LeverRequest{End: "one"})
			if err := other.AuthorityChanged(); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range []*running{r, other} {
			eventually(t, "the mesh that waited is served", func() bool {
				got := s.Status()
				return got.Hash != was && got.Waiting == ""
			})
			if err := s.SetMesh(first); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// lever asks as whoever has a token.
func (r *running) lever(t *testing.T, token string, q serve.LeverRequest) (*serve.LeverAnswer, error) {
	t.Helper()
	roots := filepath.Join(t.TempDir(), "roots.crt")
	if err := os.WriteFile(roots, r.authority.Bundle(), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := serve.OperatorToken(r.EnrollAddr(), secret.New([]byte(token)), roots)
	if err != nil {
		t.Fatal(err)
	}
	return client.Lever(testContext(t), &q)
}

// pulls is lever of jane, who may.
func (r *running) pulls(t *testing.T, q serve.LeverRequest) *serve.LeverAnswer {
	t.Helper()
	answer, err := r.lever(t, "jane x", q)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// levered is the stream by which frontend's proxy is told of levers.
func levered(t *testing.T, r *running) runtimeservice.RuntimeDiscoveryService_DeltaRuntimeClient {
	t.Helper()
	stream, err := runtimeservice.NewRuntimeDiscoveryServiceClient(r.dial(t, "frontend", time.Hour)).
		DeltaRuntime(testContext(t))
	if err == nil {
		err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node: node("service/frontend/a"), ResourceNamesSubscribe: []string{envoy.LeverLayer},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return stream
}
