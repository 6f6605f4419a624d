package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/serve/heard"
)

// OperatorClient asks a server as an operator, who has either an identity of the mesh or a token of Kubernetes.
type OperatorClient struct {
	// Address is where the server serves proxies, or for a token where it signs certificates; HOST:PORT.
	Address string
	// Certificate is the operator's, Roots are the mesh's.
	Certificate *tls.Certificate
	Roots       *x509.CertPool
	Token       secret.Value
}

// OperatorToken is a client with a token, and with the mesh's roots in a file.
func OperatorToken(address string, token secret.Value, trustFile string) (*OperatorClient, error) {
	roots, err := rootsIn(trustFile)
	if err != nil {
		return nil, err
	}
	return &OperatorClient{Address: address, Roots: roots, Token: token}, nil
}

// OperatorDirectory is a client with the tls.crt, tls.key and ca.crt of a certificate directory.
func OperatorDirectory(address, dir string) (*OperatorClient, error) {
	files := &onDisk{dir: dir}
	certificate, err := files.certificate()
	if err != nil {
		return nil, err
	}
	roots, err := files.roots()
	if err != nil {
		return nil, err
	}
	return &OperatorClient{Address: address, Certificate: certificate, Roots: roots}, nil
}

// Tap calls each with every event, until the context ends, the function returns an error, or the server ends it.
func (c *OperatorClient) Tap(ctx context.Context, r *TapRequest, each func(*TapEvent) error) error {
	if c.Certificate == nil {
		return c.byToken(ctx, r, each)
	}
	conn, err := grpc.NewClient(c.Address, grpc.WithTransportCredentials(credentials.NewTLS(c.tls())),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}))
	if err != nil {
		return fmt.Errorf("%q is not a valid address HOST:PORT", c.Address)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, err := json.Marshal(r)
	if err != nil {
		return err
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, TapMethod)
	if err == nil {
		err = errors.Join(stream.SendMsg(wrapperspb.String(string(asked))), stream.CloseSend())
	}
	for err == nil {
		var told wrapperspb.StringValue
		if err = stream.RecvMsg(&told); err == nil {
			var event TapEvent
			if err = json.Unmarshal([]byte(told.GetValue()), &event); err == nil {
				err = each(&event)
			}
		}
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, io.EOF):
		return nil
	case status.Code(err) == codes.Unavailable, status.Code(err) == codes.Internal:
		return fmt.Errorf("%s went away, or does not answer: %s", c.Address, status.Convert(err).Message())
	case status.Code(err) != codes.Unknown:
		return fmt.Errorf("%s: %s", c.Address, status.Convert(err).Message())
	}
	return err
}

// byToken is [OperatorClient.Tap] with a token, over HTTP.
func (c *OperatorClient) byToken(ctx context.Context, r *TapRequest, each func(*TapEvent) error) error {
	asked, err := json.Marshal(r)
	if err != nil {
		return err
	}
	answer, err := c.post(ctx, enroll.TapPath, asked)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for lines := json.NewDecoder(answer.Body); ; {
		var event TapEvent
		switch err := lines.Decode(&event); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("%s went away", c.Address)
		case event.Error != "":
			return fmt.Errorf("%s: %s", c.Address, heard.Line(event.Error, 500))
		}
		if err := each(&event); err != nil {
			return err
		}
	}
}

// tls proves the operator's identity, and wants the server of the same mesh.
func (c *OperatorClient) tls() *tls.Config {
	var own []tls.Certificate
	if c.Certificate != nil {
		own = []tls.Certificate{*c.Certificate}
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: own,
		InsecureSkipVerify: true, // #nosec G402 -- verified below, by its identity
		VerifyConnection: func(s tls.ConnectionState) error {
			if publickey.VerifyServer(s, c.Roots) != nil {
				return errors.New("the server's certificate is not signed by a root of the mesh")
			}
			id, err := svid.Identity(s.PeerCertificates[0])
			if err != nil || !c.serves(id) {
				return fmt.Errorf("the server is %s, which is not meshc serve of the operator's mesh", id)
			}
			return nil
		},
	}
}

// serves reports whether that is the identity of meshc serve in the trust domain of the operator. No member has one
// like it: system namespaces have no members.
func (c *OperatorClient) serves(id spiffeid.ID) bool {
	if c.Certificate != nil {
		own, err := svid.Identity(c.Certificate.Leaf)
		if err != nil || own.TrustDomain() != id.TrustDomain() {
			return false
		}
	}
	namespace, account, both := strings.Cut(strings.TrimPrefix(id.Path(), "/ns/"), "/sa/")
	return both && strings.HasSuffix(namespace, "-system") && account == ir.ServerName
}
