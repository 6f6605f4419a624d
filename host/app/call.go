package app

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Call makes the first call of a chain and tells the upstream to go on with the
// rest.
func (c *Caller) Call(ctx context.Context, chain string, header http.Header) Call {
	s, rest, err := nextStep(chain)
	if err != nil {
		return Call{To: s.to, Error: err.Error()}
	}
	up, err := c.upstreams.Load().named(s.to)
	if err != nil {
		return Call{To: s.to, Error: err.Error()}
	}
	call := Call{To: up.Service}
	switch up.Protocol {
	case "tcp":
		err = c.callTCP(ctx, up, &call)
	case "grpc":
		if s.method == "" || s.method == http.MethodPost {
			err = c.callGRPC(ctx, up, s, rest, header, &call)
			break
		}
		fallthrough // gRPC is always POST, and this step wants something else
	default:
		err = c.callHTTP(ctx, up, s, rest, header, &call)
	}
	if err != nil {
		call.Error = err.Error()
	}
	return call
}

func (c *Caller) callHTTP(ctx context.Context, up Upstream, s step, rest string, header http.Header, call *Call) error {
	target, err := s.target(rest)
	if err != nil {
		return err
	}
	target.Scheme, target.Host = "http", up.authority()
	if up.Protocol == "tls" {
		target.Scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, cmp.Or(s.method, http.MethodGet), target.String(), nil)
	if err != nil {
		return err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := c.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	call.Status = answer.StatusCode
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	return call.read(body)
}

func (c *Caller) callGRPC(ctx context.Context, up Upstream, s step, rest string, header http.Header, call *Call) error {
	target, err := s.target(rest)
	if err != nil {
		return err
	}
	if target.Path == "/" {
		target.Path = "/meshc.examples.Echo/Echo"
	}
	// A gRPC method has no query, so that what steers goes by header.
	for name, values := range target.Query() {
		for _, v := range values {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-"+name, v)
		}
	}
	for name, values := range header {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), values[0])
	}
	conn, err := c.GRPC(up.authority())
	if err != nil {
		return err
	}
	defer conn.Close()
	var out wrapperspb.StringValue
	err = conn.Invoke(ctx, target.Path, &emptypb.Empty{}, &out)
	call.Code = status.Code(err).String()
	if err != nil {
		return fmt.Errorf("%s", status.Convert(err).Message())
	}
	call.Status = http.StatusOK
	return call.read([]byte(out.GetValue()))
}

func (c *Caller) callTCP(ctx context.Context, up Upstream, call *Call) error {
	conn, err := c.Dial(ctx, up.authority())
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the connection was closed without an answer: %w", err)
	}
	service, version, _ := strings.Cut(strings.TrimSuffix(line, ": hello\n"), " ")
	call.Report = &Report{Service: service, Version: version, Port: up.Port, Protocol: "TCP"}
	return nil
}

// read takes a report out of an answer's body; what is not one is kept as the
// error's text.
func (c *Call) read(body []byte) error {
	var r Report
	if err := json.Unmarshal(body, &r); err == nil && r.Service != "" {
		c.Report = &r
		return nil
	}
	return fmt.Errorf("%s", strings.TrimSpace(string(body[:min(len(body), 200)])))
}
