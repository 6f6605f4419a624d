package local

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

func tlsWith(c *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*c}}
}

// authorizer says yes to who carries a pass.
type authorizer struct {
	authv3.UnimplementedAuthorizationServer
}

func (authorizer) Check(_ context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	attributes := r.GetAttributes()
	if attributes.GetRequest().GetHttp().GetHeaders()["x-pass"] != "yes" {
		return &authv3.CheckResponse{
			Status: &status.Status{Code: int32(codes.PermissionDenied)},
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status: &typev3.HttpStatus{Code: typev3.StatusCode_PaymentRequired}, Body: "no pass",
			}},
		}, nil
	}
	return &authv3.CheckResponse{
		Status: &status.Status{},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: []*corev3.HeaderValueOption{
				{Header: &corev3.HeaderValue{Key: "x-user", Value: attributes.GetSource().
					GetPrincipal()}},
			},
		}},
	}, nil
}

// A service over gRPC is asked about what the rules let in, and knows who calls.
//
// Field: externalAuthorization
// Field: mesh.externalAuthorization.service
func TestExternalAuthorizationByGRPC(t *testing.T) {
	mesh := rulesMesh(t)
	asks := mesh.Backend("authz-grpc", "a")
	address := asks.Address("http")
	asks.Close()
	l, err := listening(address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, authorizer{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	eventually(t, "a yes", func() bool {
		return asked(t, "client", "http://asks-grpc:8080/asked/", "x-pass", "yes") == http.StatusOK
	})
	a := send(t, mesh.As("client").Client(), http.MethodGet, "http://asks-grpc:8080/asked/", "x-pass", "yes")
	if a.report == nil || a.report.Headers["x-user"] != "spiffe://rules.example/ns/near/sa/client" {
		t.Errorf("the application was told %+v", a.report)
	}
	judge(t, []rulesCase{
		{"client", "http://asks-grpc:8080/asked/", nil, 402},
		{"client", "http://asks-grpc:8080/other", []string{"x-pass", "yes"}, 403}, // which the rules refuse
	})
}

// A service over HTTP is asked with the request's own method, path and headers; a
// gateway asks it too.
//
// Field: mesh.externalAuthorization.pathPrefix
// Field: mesh.externalAuthorization.headers
// Field: mesh.externalAuthorization.forward
// Field: mesh.externalAuthorization.port
// Field: mesh.externalAuthorization.timeout
func TestExternalAuthorizationByHTTP(t *testing.T) {
	mesh := rulesMesh(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("x-ask") == "wait":
			<-hang
		case !strings.HasPrefix(r.URL.Path, "/check/") || r.Header.Get("x-ask") != "please" ||
			r.Header.Get("x-kept") != "":
			w.WriteHeader(http.StatusTeapot)
		default:
			w.Header().Set("x-decision", r.Method+" "+r.URL.Path)
		}
	})
	asks := mesh.Backend("authz-http", "a")
	replaced(t, asks.Address("http"), asks.Close, handler, (*http.Server).Serve)
	eventually(t, "a yes", func() bool {
		return asked(t, "client", "http://asks-http:8080/a", "x-ask", "please", "x-kept", "1") == http.StatusOK
	})
	a := send(t, mesh.As("client").Client(), http.MethodGet, "http://asks-http:8080/a", "x-ask", "please", "x-decision",
		"forged")
	if a.report == nil || a.report.Headers["x-decision"] != "GET /check/a" {
		t.Errorf("the application was told %+v", a.report)
	}
	judge(t, []rulesCase{
		{"client", "http://asks-http:8080/a", nil, http.StatusTeapot},
		{"client", "http://asks-http:8080/a", []string{"x-ask", "wait"}, http.StatusForbidden},
	})
	gateway := mesh.Gateway("edge").URL
	if a := send(t, http.DefaultClient, http.MethodGet, gateway+"/b", "x-ask", "please"); a.status != http.StatusOK {
		t.Errorf("through the gateway: status %d: %s", a.status, a.body)
	}
	if a := send(t, http.DefaultClient, http.MethodGet, gateway+"/b"); a.status != http.StatusTeapot {
		t.Errorf("through the gateway, without: status %d", a.status)
	}
	a = send(t, http.DefaultClient, http.MethodGet, gateway+"/b", "x-ask", "please", "x-user", "root", "x-role",
		"admin")
	if a.report == nil || a.report.Headers["x-user"] != "" || a.report.Headers["x-role"] != "" {
		t.Errorf("the gateway let headers through that say who calls: %+v", a.report)
	}
}

// Without an answer a request is refused, unless the spec says that it goes through.
//
// Field: mesh.externalAuthorization.failOpen
func TestExternalAuthorizationFails(t *testing.T) {
	rulesMesh(t).Backend("authz-gone", "a").Close()
	judge(t, []rulesCase{
		{"client", "http://asks-closed:8080/", nil, http.StatusForbidden},
		{"client", "http://asks-open:8080/", nil, http.StatusOK},
	})
}
