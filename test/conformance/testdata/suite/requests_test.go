//go:build conformance

package suite

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc/codes"
	pb "sigs.k8s.io/gateway-api/conformance/echo-basic/grpcechoserver"
	"sigs.k8s.io/gateway-api/conformance/utils/echo"
	"sigs.k8s.io/gateway-api/conformance/utils/grpc"
	"sigs.k8s.io/gateway-api/conformance/utils/roundtripper"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// ask sends a request and reads its answer.
func (l *lab) ask(q try.Request) (*answer, error) {
	w, err := l.now()
	if err != nil {
		return nil, err
	}
	l.Lock()
	l.asked++
	n := l.asked
	l.Unlock()
	if trial, err := try.Try(w.mesh, q); err == nil {
		for _, r := range trial.Routes {
			if r.Mirror != nil && spread(n+1<<20) < r.Mirror.Percent/100 {
				l.Lock()
				l.steps[q.Path] = append(l.steps[q.Path], r.Mirror.Service)
				l.Unlock()
			}
		}
	}
	return w.ask(sent{q, spread(n)})
}

// outside is a request that somebody outside sends to an address of a Gateway.
func (l *lab) outside(address, method, scheme, host, path string, headers map[string][]string) (try.Request, error) {
	q := try.Request{Method: method, Scheme: scheme, Path: path}
	w, err := l.now()
	if err != nil {
		return q, err
	}
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		name, port = address, map[string]string{"http": "80", "https": "443"}[scheme]
	}
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return q, fmt.Errorf("%s is no address of a Gateway", address)
	}
	g := w.gateway(parts[1], parts[0])
	if g == "" {
		return q, fmt.Errorf("no gateway was made of %s", name)
	}
	q.From = try.Sender{Kind: ir.KindGateway, Name: g}
	fmt.Sscan(port, &q.Port)
	q.Authority = host
	if host == "" {
		q.Authority = address
	}
	q.Host = q.Authority
	if h, _, err := net.SplitHostPort(q.Authority); err == nil {
		q.Host = h
	}
	for name, values := range headers {
		for _, v := range values {
			q.Headers = append(q.Headers, ir.Header{Name: strings.ToLower(name), Value: v})
		}
	}
	slices.SortFunc(q.Headers, func(a, b ir.Header) int { return strings.Compare(a.Name, b.Name) })
	return q, nil
}

// CaptureRoundTrip is how the suite sends requests of HTTP to a Gateway.
func (l *lab) CaptureRoundTrip(r roundtripper.Request) (*roundtripper.CapturedRequest, *roundtripper.CapturedResponse,
	error,
) {
	q, err := l.outside(r.URL.Host, r.Method, r.URL.Scheme, r.Host, r.URL.RequestURI(), r.Headers)
	if err != nil {
		return nil, nil, err
	}
	q.ServerName = r.ServerName
	if why := l.refusesClient(q, r.GetClientCertificateHook); why != "" {
		return nil, nil, errors.New(why)
	}
	a, err := l.ask(q)
	if err != nil {
		return nil, nil, err
	}
	out := &roundtripper.CapturedResponse{StatusCode: a.status, Headers: a.response, Protocol: "HTTP/1.1"}
	if roundtripper.IsRedirect(a.status) {
		to, err := url.Parse(a.location)
		if err != nil {
			return nil, nil, err
		}
		out.RedirectRequest = &roundtripper.RedirectRequest{
			Scheme: to.Scheme, Host: to.Hostname(), Port: to.Port(), Path: to.Path,
		}
	}
	return &roundtripper.CapturedRequest{
		Path: a.path, Host: a.host, Method: a.method, Headers: a.headers, Namespace: a.namespace, Pod: a.pod,
		HTTPPort: a.port,
	}, out, nil
}

// SendRPC is how the suite sends calls of gRPC.
func (l *lab) SendRPC(t *testing.T, address string, e grpc.ExpectedResponse, _ time.Duration) (*grpc.Response, error) {
	method := "Echo"
	switch {
	case e.EchoTwoRequest != nil:
		method = "EchoTwo"
	case e.EchoThreeRequest != nil:
		method = "EchoThree"
	}
	path, host, headers := "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/"+method, "", map[string][]string{}
	headers["content-type"] = []string{"application/grpc"}
	if e.RequestMetadata != nil {
		host = e.RequestMetadata.Authority
		for name, value := range e.RequestMetadata.Metadata {
			headers[name] = []string{value}
		}
	}
	q, err := l.outside(address, http.MethodPost, "http", host, path, headers)
	if err != nil {
		return nil, err
	}
	a, err := l.ask(q)
	if err != nil {
		return nil, err
	}
	out := &grpc.Response{Code: codes.Code(a.grpc)}
	switch a.status {
	case http.StatusOK:
	case http.StatusNotFound: // as clients read it (gRPC, "HTTP to gRPC Status Code Mapping")
		out.Code = codes.Unimplemented
	default:
		out.Code = codes.Unknown
	}
	out.Response = &pb.EchoResponse{Assertions: &pb.Assertions{
		FullyQualifiedMethod: a.path, Context: &pb.Context{Namespace: a.namespace, Pod: a.pod},
	}}
	return out, nil
}

// Close ends nothing.
func (l *lab) Close() {}

// Dial is how the suite opens websockets: what is asked is whether the handshake is let in.
func (l *lab) Dial(target, _, _ string) (*websocket.Conn, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	q, err := l.outside(u.Host, http.MethodGet, "http", "", u.Path, map[string][]string{
		"connection": {"upgrade"}, "upgrade": {"websocket"},
	})
	if err != nil {
		return nil, err
	}
	a, err := l.ask(q)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK && a.status != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("the handshake is answered %d", a.status)
	}
	return echoing()
}

// sendFromPod is how the suite sends requests from a pod of the mesh.
func (l *lab) sendFromPod(m *echo.MeshPod, args []string) (echo.Response, error) {
	w, err := l.now()
	if err != nil {
		return echo.Response{}, err
	}
	labels := map[string]string{}
	for _, one := range strings.Split(m.Name, ",") {
		name, value, _ := strings.Cut(one, "=")
		labels[name] = value
	}
	from := w.member(m.Namespace, labels)
	if from == "" {
		return echo.Response{}, fmt.Errorf("no member was made of the pods %s in %s", m.Name, m.Namespace)
	}
	return l.fromMember(from, m.Namespace, args)
}
