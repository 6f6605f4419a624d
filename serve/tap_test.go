package serve_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/serve"
)

// operated is the mesh with operators.
func operated(t *testing.T, operators string) *ir.Mesh {
	t.Helper()
	const at = `trustDomain: "shop.example"`
	return compileSpec(t, strings.Replace(spec, at, at+", operators: {"+operators+"}", 1))
}

// users knows whose tokens are whose: "jane sre" is jane's, who is in the group sre.
type users struct{}

func (users) Identity(context.Context, string, spiffeid.ID) (spiffeid.ID, error) {
	return spiffeid.ID{}, errors.New("no service account")
}

func (users) User(_ context.Context, token string, _ spiffeid.ID) (string, []string, error) {
	name, groups, ok := strings.Cut(token, " ")
	if !ok {
		return "", nil, errors.New("the token is not authenticated")
	}
	return name, strings.Fields(groups), nil
}

// Whom Kubernetes knows by a token may tap where he or a group of his is named, and nobody else. Who did is logged, and
// no token is.
func TestTapByToken(t *testing.T) {
	log := &lockedLog{}
	r := start(t, func(c *serve.Config) {
		c.EnrollListen, c.TokenReview, c.Log = "127.0.0.1:0", users{}, slog.New(slog.NewJSONHandler(log, nil))
	})
	if err := r.SetMesh(operated(t, `kubernetes: {users: ["jane"], groups: ["sre"]}`)); err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(t.TempDir(), "roots.crt")
	if err := os.WriteFile(roots, r.authority.Bundle(), 0o600); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	tap := func(token string, what serve.TapRequest) error {
		t.Helper()
		client, err := serve.OperatorToken(r.EnrollAddr(), secret.New([]byte(token)), roots)
		if err != nil {
			t.Fatal(err)
		}
		return client.Tap(testContext(t), &what, func(e *serve.TapEvent) error {
			if e.Tapped == nil || *e.Tapped != 0 {
				return fmt.Errorf("it begins with %+v", e)
			}
			return enough
		})
	}
	cart := serve.TapRequest{To: "cart"}
	for token, want := range map[string]string{
		"jane secret1": "", "joe sre secret2": "",
		"joe secret3":                   "joe is not an operator of the mesh shop (mesh.operators)",
		"jane,joe system:authenticated": "is not an operator", "secret4": "the token is not valid here",
	} {
		switch err := tap(token, cart); {
		case want == "" && !errors.Is(err, enough), want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", token, err)
		}
	}
	for _, c := range []struct {
		what serve.TapRequest
		want string
	}{
		{serve.TapRequest{}, "name who sends the requests"},
		{serve.TapRequest{To: "absent"}, `the mesh has no service or external "absent"`},
		{serve.TapRequest{From: "gateway frontend"}, `the mesh has no service or gateway "gateway frontend"`},
		{serve.TapRequest{To: "cart", Port: "1"}, `cart has no port "1"`},
		{serve.TapRequest{From: "frontend", Port: "1"}, "a port is that of a callee"},
		{serve.TapRequest{To: "cart", Status: "6xx"}, `"6xx" is not a status`},
		{serve.TapRequest{To: "cart", At: "both"}, `"both" is not caller or callee`},
	} {
		if err := tap("jane x", c.what); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.what, err)
		}
	}
	_, metrics := fetch(t, r, "/metrics")
	if !strings.Contains(metrics, "meshc_taps_begun_total 2") ||
		!strings.Contains(metrics, "meshc_taps_refused_total 3") {
		t.Error("/metrics does not have 2 taps and 3 refusals")
	}
	text := ""
	eventually(t, "both taps are in the log", func() bool {
		text += log.take()
		return strings.Contains(text, `"msg":"tap begins","operator":"jane","tap":"to cart"`) &&
			strings.Count(text, `"msg":"tap ends"`) == 2
	})
	if strings.Contains(text, "secret") {
		t.Error("a token is in the log")
	}
}

// A proxy shows requests of its own only. An operator who is none any more sees nothing more.
func TestTapShowsWhatProxiesMayTell(t *testing.T) {
	r := start(t)
	const oncall = `identities: ["spiffe://shop.example/ns/default/sa/cart"]`
	if err := r.SetMesh(operated(t, oncall)); err != nil {
		t.Fatal(err)
	}
	proxy := r.dial(t, "frontend", time.Hour)
	stream, err := runtimeservice.NewRuntimeDiscoveryServiceClient(proxy).DeltaRuntime(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node("service/frontend/a")}); err != nil {
		t.Fatal(err)
	}
	if told, err := stream.Recv(); err != nil || told.Resources[0].Ttl != nil {
		t.Fatalf("at first: %v %v", told, err)
	}
	certificate, err := r.authority.Certificate(spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/cart"),
		time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.authority.Bundle())
	client := &serve.OperatorClient{Address: r.Addr(), Certificate: certificate, Roots: roots}
	events, ended := make(chan *serve.TapEvent, 10), make(chan error, 1)
	go func() {
		ended <- client.Tap(testContext(t), &serve.TapRequest{From: "frontend"},
			func(e *serve.TapEvent) error { events <- e; return nil })
	}()
	told, err := stream.Recv()
	if err != nil || told.Resources[0].Ttl.AsDuration() != 30*time.Second {
		t.Fatalf("when it is tapped: %v %v", told, err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: told.Nonce}); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Tapped == nil || *e.Tapped != 1 {
		t.Fatalf("it begins with %+v", e)
	}
	line := func(conn *grpc.ClientConn, node string, fields ...string) error {
		record := &logsv1.LogRecord{}
		for i := 0; i < len(fields); i += 2 {
			record.Attributes = append(record.Attributes, attribute(fields[i], fields[i+1]))
		}
		return conn.Invoke(testContext(t), "/opentelemetry.proto.collector.logs.v1.LogsService/Export", &logsv1.LogsData{
			ResourceLogs: []*logsv1.ResourceLogs{{
				Resource:  &resourcev1.Resource{Attributes: []*commonv1.KeyValue{attribute("node_name", node)}},
				ScopeLogs: []*logsv1.ScopeLogs{{LogRecords: []*logsv1.LogRecord{record}}},
			}},
		}, &emptypb.Empty{})
	}
	of := []string{"kind", "http.client", "http.response.status_code", "200", "caller"}
	if err := line(r.dial(t, "cart", time.Hour), "service/frontend/a", append(of, frontendID)...); err == nil {
		t.Error("a proxy shows requests as another one")
	}
	for _, node := range []string{"service/frontend/" + strings.Repeat("a", 1000), "service/frontend/\x1b[2J"} {
		if err := line(proxy, node, append(of, frontendID)...); status.Code(err) != codes.InvalidArgument {
			t.Errorf("the node %.40q: %v", node, err)
		}
	}
	for _, caller := range []string{"spiffe://shop.example/ns/default/sa/cart", frontendID} {
		if err := line(proxy, "service/frontend/a", append(of, caller, "url.path", "/\x1b[2J\n")...); err != nil {
			t.Error(err)
		}
	}
	if e := <-events; e.Fields["caller"] != frontendID || e.Fields["url.path"] != "/\ufffd[2J\ufffd" ||
		len(events) > 0 {
		t.Errorf("it shows %+v, and %d more", e, len(events))
	}
	if err := r.SetMesh(operated(t, `identities: ["spiffe://shop.example/ns/default/sa/frontend"]`)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "is not an operator any more") {
		t.Errorf("it ends with %v", err)
	}
	if told, err = stream.Recv(); err != nil || len(told.Resources) != 1 || told.Resources[0].Ttl != nil {
		t.Errorf("when nobody taps it any more: %v %v", told, err)
	}
}

func attribute(key, value string) *commonv1.KeyValue {
	return &commonv1.KeyValue{
		Key: key, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: value}},
	}
}
