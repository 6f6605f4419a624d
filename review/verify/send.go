package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/host/local"
)

// sendTime bounds a request.
const sendTime = 30 * time.Second

// sender sends the requests of tests through a mesh that it runs.
type sender struct {
	mesh    *local.Mesh
	running *local.Running
}

// startSender starts a mesh, with issuers of tokens that stand in for its own.
func startSender(ctx context.Context, m *ir.Mesh, envoy, outside string) (*sender, error) {
	mesh, err := local.Start(ctx, local.Options{Mesh: m, Envoy: envoy, Outside: outside, SignTokens: true})
	if err != nil {
		return nil, fmt.Errorf("the mesh does not run: %w", err)
	}
	return &sender{mesh, mesh.Running()}, nil
}

// answer is what came back; of status 0 is a connection that was closed without.
type answer struct {
	status           int
	grpc             string // status of gRPC; empty for none
	service, version string // of the application that it is of; empty for a proxy's own
	proto            string // "HTTP/1.1"
	header           http.Header
	body             []byte
}

// allowed reports whether it was let in: a proxy refuses a request of gRPC with a status of that (gRPC over HTTP/2).
func (a *answer) allowed() bool {
	return a.status > 0 && a.status < 400 && (a.service != "" || a.grpc == "" || a.grpc == "0")
}

// errClosed is a connection that was closed before anything was answered.
var errClosed = errors.New("the connection was closed")

// errBroken is an answer that began and did not end.
var errBroken = errors.New("the answer was broken off")

// meets reports whether it is as is expected.
func (a *answer) meets(e *ir.Expectation) bool {
	return a.allowed() == e.Allowed && (e.Service == "" || a.service == e.Service) && (e.Version == "" ||
		a.version == e.Version)
}

func (a *answer) text() string {
	if a.status == 0 {
		return "is closed by a proxy"
	}
	if a.service == "" && a.grpc != "" {
		return fmt.Sprintf("is answered %d by a proxy, with the status %s of gRPC", a.status, a.grpc)
	}
	if a.service == "" {
		return fmt.Sprintf("is answered %d by a proxy", a.status)
	}
	return fmt.Sprintf("is answered %d by %s %s", a.status, a.service, a.version)
}

func (s *sender) send(ctx context.Context, t *ir.Test) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	request := try.OfTest(t)
	return send(ctx, s.running, &sending{request: &request})
}

// sending is a request that is sent.
type sending struct {
	request *try.Request
	body    []byte
	http2   bool // to a gateway
}

// send sends a request of a service, or of somebody outside to a gateway, through a mesh that runs.
func send(ctx context.Context, running *local.Running, s *sending) (*answer, error) {
	sent := s.request
	client, base, err := running.Client(local.Way{
		From: ir.Ref{Kind: sent.From.Kind, Name: sent.From.Name}, Scheme: sent.Scheme, Host: sent.Host, Port: sent.Port,
		ServerName: sent.ServerName, HTTP2: s.http2,
	})
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, sent.Method, base, bytes.NewReader(s.body))
	if err != nil {
		return nil, err
	}
	r.URL.Opaque = sent.Path // as it is written, with whatever escapes
	if strings.HasPrefix(sent.Path, "//") {
		r.URL.Opaque = "//" + sent.Host + sent.Path
	}
	r.Host = sent.HostHeader()
	for _, h := range sent.Headers {
		r.Header.Add(h.Name, h.Value)
	}
	if sent.Token != nil {
		token, err := running.Token(sent.Token.Issuer, sent.Token.Claims)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, errClosed
	} else if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a := &answer{status: response.StatusCode, proto: response.Proto, header: response.Header}
	if response.StatusCode == http.StatusSwitchingProtocols { // what follows has no end
		a.service, a.version, _ = strings.Cut(response.Header.Get(app.AnsweredBy), " ")
		return a, nil
	}
	a.body, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	a.grpc = cmp.Or(response.Header.Get("grpc-status"), response.Trailer.Get("grpc-status"))
	var report app.Report
	if json.Unmarshal(a.body, &report) == nil {
		a.service, a.version = report.Service, report.Version
	}
	return a, nil
}
