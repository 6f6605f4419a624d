package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/serve/heard"
)

// leverAnswerTime is how long a client waits for the answer, which waits for proxies.
const leverAnswerTime = leverTime + 10*time.Second

// maxLeverAnswer is how much of an answer is read, in bytes.
const maxLeverAnswer = 4 << 20

// Lever asks a server for a lever, or for those in force.
func (c *OperatorClient) Lever(ctx context.Context, r *LeverRequest) (*LeverAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, leverAnswerTime)
	defer cancel()
	asked, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	said, err := c.leverSaid(ctx, asked)
	if err != nil {
		return nil, err
	}
	out := &LeverAnswer{}
	if json.Unmarshal(said, out) != nil {
		return nil, fmt.Errorf("%s is not meshc serve, or one of another version", c.Address)
	}
	return out, nil
}

// leverSaid is what the server says, over gRPC for a certificate and over HTTP for a token.
func (c *OperatorClient) leverSaid(ctx context.Context, asked []byte) ([]byte, error) {
	if c.Certificate == nil {
		answer, err := c.post(ctx, enroll.LeverPath, asked)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		return io.ReadAll(io.LimitReader(answer.Body, maxLeverAnswer))
	}
	conn, err := grpc.NewClient(c.Address, grpc.WithTransportCredentials(credentials.NewTLS(c.tls())),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxLeverAnswer)))
	if err != nil {
		return nil, fmt.Errorf("%q is not a valid address HOST:PORT", c.Address)
	}
	defer conn.Close()
	var told wrapperspb.StringValue
	if err := conn.Invoke(ctx, LeverMethod, wrapperspb.String(string(asked)), &told); err != nil {
		return nil, fmt.Errorf("%s: %s", c.Address, heard.Line(status.Convert(err).Message(), 500))
	}
	return []byte(told.GetValue()), nil
}

// post sends the operator's token and a request over HTTP. Whoever gets an answer closes its body.
func (c *OperatorClient) post(ctx context.Context, path string, asked []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.Address+path, bytes.NewReader(asked))
	if err != nil {
		return nil, fmt.Errorf("%q is not a valid address HOST:PORT", c.Address)
	}
	request.Header.Set("Authorization", "Bearer "+string(c.Token.Reveal()))
	config := c.tls()
	config.NextProtos = []string{"http/1.1"}
	answer, err := (&http.Transport{TLSClientConfig: config, DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", c.Address, err)
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // as much as there is
		return nil, fmt.Errorf("%s: %s", c.Address, heard.Line(strings.TrimSpace(string(text)), 500))
	}
	return answer, nil
}
