package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/host/local"
)

// Question is a request to be sent through a mesh that runs on this machine.
type Question struct {
	// Request is of a service, or of somebody outside who comes by a gateway, over HTTP.
	Request try.Request
	Body    []byte
	// HTTP2 has a gateway be spoken to in HTTP/2.
	HTTP2 bool
}

// Asked is the answer to a [Question], beside what follows from the spec.
type Asked struct {
	// Status is 0 when the connection was closed without an answer.
	Status   int         `json:"status,omitempty"`
	Protocol string      `json:"protocol,omitempty"`
	Header   http.Header `json:"header,omitempty"`
	Body     string      `json:"body,omitempty"`
	// GRPCStatus is that of gRPC, a number; empty for none.
	GRPCStatus string `json:"grpcStatus,omitempty"`
	// Service and Version are the application that answered; empty when a proxy did.
	Service string `json:"service,omitempty"`
	Version string `json:"version,omitempty"`

	// Trial is what meshc try says of the request in the mesh that runs, with all outcomes, and Command how that is
	// asked.
	Trial   *try.Trial `json:"try"`
	Command string     `json:"command"`
	// Agrees is set when the answer is one of the outcomes.
	Agrees bool `json:"agrees"`
	// Past is set when the request went past the proxy of its sender, a service that does not use the callee: on one
	// machine nothing redirects such a call to that proxy, which would refuse it.
	Past bool `json:"past,omitempty"`

	text string
}

// Ask sends a request through a mesh that runs, and follows it through the spec of that mesh. An error says that it
// cannot be sent, or that the answer did not come to its end.
func Ask(ctx context.Context, running *local.Running, q *Question) (*Asked, error) {
	from := q.Request.From.Kind
	if from != ir.KindService && from != ir.KindGateway {
		return nil, fmt.Errorf("%s has no proxy in the mesh: send as a service, or by gateway:NAME", q.Request.From)
	}
	if q.Request.Scheme != "http" && q.Request.Scheme != "https" {
		return nil, fmt.Errorf("the URL is of %s, and only requests of http and https are sent", q.Request.Scheme)
	}
	trial, err := try.Try(running.Mesh, q.Request)
	if err != nil {
		return nil, err
	}
	if trial.Outcomes, _, err = try.Outcomes(running.Mesh, q.Request); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	a, err := send(ctx, running, &sending{&q.Request, q.Body, q.HTTP2})
	if errors.Is(err, errClosed) {
		a, err = &answer{}, nil
	}
	if err != nil {
		return nil, err
	}
	which, others := matching(trial.Outcomes, a)
	past := slices.ContainsFunc(others, func(i int) bool {
		by := trial.Outcomes[i].Answer
		return from == ir.KindService && by != nil && by.By == q.Request.From.String()
	})
	return &Asked{
		Status: a.status, Protocol: a.proto, Header: a.header, Body: string(a.body), GRPCStatus: a.grpc,
		Service: a.service, Version: a.version, Trial: trial, Command: q.Request.Command(),
		Agrees: len(which) > 0 || past, Past: past, text: a.text(),
	}, nil
}

// Text writes the answer, and what follows from the spec.
func (a *Asked) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "the request %s\n", diag.Printable(a.text))
	if body := strings.TrimRight(a.Body, "\n"); body != "" {
		b.WriteByte('\n')
		for line := range strings.SplitSeq(body, "\n") {
			fmt.Fprintf(&b, "%s\n", printableLine(line))
		}
	}
	says := "agrees"
	if !a.Agrees {
		says = "says otherwise"
	}
	fmt.Fprintf(&b, "\nmeshc try %s: the request %s\n", says, diag.Printable(a.Trial.Outcome()))
	if a.Past {
		fmt.Fprintf(&b, "  here it went past the proxy of its sender, and that of the callee refused it\n")
	}
	for _, on := range a.Trial.Undecided {
		fmt.Fprintf(&b, "  depends on %s\n", diag.Printable(on))
	}
	if write := a.Trial.Write; write != "" && !a.Trial.Allowed() {
		fmt.Fprintf(&b, "  to allow it: %s\n", diag.Printable(write))
	}
	fmt.Fprintf(&b, "  each step with its line: %s\n", diag.Printable(a.Command))
	_, err := io.WriteString(w, b.String())
	return err
}

// printableLine is a line of an answer, safe for a terminal: with its tabs, and the line end of HTTP after it gone.
func printableLine(line string) string {
	parts := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
	for i := range parts {
		parts[i] = diag.Printable(parts[i])
	}
	return strings.Join(parts, "\t")
}
