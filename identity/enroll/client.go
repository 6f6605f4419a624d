package enroll

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

// Client is an issuer ([svid.Issuer]) that requests certificates from meshc serve over the network.
type Client struct {
	// Address is the address of the API, HOST:PORT.
	Address string
	// Server is the identity that the server must prove.
	Server spiffeid.ID
	// Directory is the certificate directory with the present certificate and trust bundle, if there are any.
	Directory string
	// Token is a join token, for the first certificate and for a new proof of the identity.
	Token secret.Value
	// ServiceAccountTokenFile contains a pod's service account token, and is used instead of Token. TrustFile
	// contains the trust bundle in PEM, which is used until there is a valid certificate.
	ServiceAccountTokenFile, TrustFile string
	// Holder distinguishes this holder from others with the same identity; it is shown to administrators.
	Holder string
}

const (
	answerTime = 20 * time.Second
	maxAnswer  = 1 << 20 // bytes
)

// Issue requests a certificate. It proves the identity with a token if there is one, which also starts a new period
// for renewals. It uses the present certificate if there is no token, or if the token is not accepted.
func (c *Client) Issue(ctx context.Context, request []byte) (chain, bundle []byte, err error) {
	held, pool, err := c.known(ctx)
	if err != nil {
		return nil, nil, err
	}
	asked := Request{Request: string(request), Holder: c.Holder}
	if c.ServiceAccountTokenFile != "" || !c.Token.IsZero() {
		chain, bundle, err := c.prove(ctx, asked, held, pool)
		if err == nil || held == nil {
			return chain, bundle, err
		}
	} else if held == nil {
		return nil, nil, errors.New("there is no valid certificate, and no join token: make one with meshc certs token")
	}
	return c.issue(ctx, asked, held, pool)
}

// prove sends a request with a token. A join token is used until a server has accepted or refused it.
func (c *Client) prove(ctx context.Context, asked Request, held *svid.Held, pool *x509.CertPool) (chain, bundle []byte,
	err error,
) {
	if c.ServiceAccountTokenFile != "" {
		token, err := os.ReadFile(c.ServiceAccountTokenFile)
		if err != nil {
			return nil, nil, err
		}
		asked.ServiceAccountToken = strings.TrimSpace(string(token))
		return c.issue(ctx, asked, held, pool)
	}
	asked.Token = string(c.Token.Reveal())
	chain, bundle, err = c.issue(ctx, asked, held, pool)
	var no *refusal
	if held != nil && (err == nil || errors.As(err, &no) && no.status == http.StatusForbidden) {
		c.Token = secret.Value{}
	}
	return chain, bundle, err
}

func (c *Client) issue(ctx context.Context, asked Request, held *svid.Held, pool *x509.CertPool) (chain, bundle []byte,
	err error,
) {
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, nil, err
	}
	var got Answer
	if err := c.ask(ctx, http.MethodPost, certificatesPath, body, held, pool, &got); err != nil {
		return nil, nil, err
	}
	return []byte(got.Chain), []byte(got.Bundle), nil
}

// refusal is an error response of the server.
type refusal struct {
	address, reason string
	status          int
}

func (r *refusal) Error() string { return r.address + " refuses: " + r.reason }

// Trust asks the server for the trust bundle, and reports which bundle this holder uses.
func (c *Client) Trust(ctx context.Context) (bundle []byte, signer string, err error) {
	held, pool, err := c.known(ctx)
	if err != nil {
		return nil, "", err
	}
	query := url.Values{"holder": {c.Holder}}
	if held != nil {
		query.Set("bundle", ca.Digest(held.Bundle))
	}
	var got Trust
	if err := c.ask(ctx, http.MethodGet, trustPath+"?"+query.Encode(), nil, held, pool, &got); err != nil {
		return nil, "", err
	}
	return []byte(got.Bundle), got.Signer, nil
}

// known returns the present certificate (nil if there is no valid one) and the roots to trust: those in the
// directory, or those that the join token pins.
func (c *Client) known(ctx context.Context) (*svid.Held, *x509.CertPool, error) {
	held, err := svid.Read(c.Directory)
	switch {
	case err == nil && time.Now().Before(held.Leaf().NotAfter):
		pool, _ := publickey.Pool(held.Bundle)
		return held, pool, nil
	case c.ServiceAccountTokenFile != "":
		roots, err := os.ReadFile(c.TrustFile)
		if err != nil {
			return nil, nil, err
		}
		pool, ok := publickey.Pool(roots)
		if !ok {
			return nil, nil, fmt.Errorf("%s has no certificate", c.TrustFile)
		}
		return nil, pool, nil
	case c.Token.IsZero() && err == nil:
		return nil, nil, fmt.Errorf(
			"the certificate in %s has expired: join again with a new token (meshc certs token)", c.Directory)
	case c.Token.IsZero():
		return nil, nil, fmt.Errorf("there is no certificate, and no join token to get one with: %w", err)
	}
	return c.pinned(ctx)
}

// pinned asks a server for its roots before the server is verified, and accepts only roots that the join token pins.
func (c *Client) pinned(ctx context.Context) (*svid.Held, *x509.CertPool, error) {
	token, err := ca.ReadToken(string(c.Token.Reveal()))
	if err != nil {
		return nil, nil, err
	}
	var got Trust
	if err := c.ask(ctx, http.MethodGet, trustPath, nil, nil, nil, &got); err != nil {
		return nil, nil, err
	}
	pool, found := x509.NewCertPool(), false
	for _, root := range svid.Certificates([]byte(got.Bundle)) {
		if pins := ca.Pins(svid.PEM(root)); slices.Contains(token.Pins, pins[0]) {
			pool.AddCert(root)
			found = true
		}
	}
	if !found {
		return nil, nil, fmt.Errorf("%s is not the server that the join token is for", c.Address)
	}
	return nil, pool, nil
}

// ask sends a request. Without a pool the server is not verified, and the caller must not trust the response.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, held *svid.Held, pool *x509.CertPool,
	into any,
) error {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true,
	} // #nosec G402 -- verified below, by its identity
	if pool != nil {
		config.VerifyConnection = func(s tls.ConnectionState) error { return c.verify(s, pool) }
	}
	if held != nil {
		config.Certificates = []tls.Certificate{*held.Key}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "https://"+c.Address+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%q is not a valid address HOST:PORT", c.Address)
	}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("%s does not answer: %w", c.Address, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", c.Address, err)
	}
	if response.StatusCode != http.StatusOK {
		var no failure
		if json.Unmarshal(data, &no) == nil && no.Error != "" {
			return &refusal{c.Address, no.Error, response.StatusCode}
		}
		return fmt.Errorf("the server at %s is not meshc serve", c.Address)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the server at %s is not meshc serve", c.Address)
	}
	return nil
}

// verify requires the server's identity in a certificate that is verified by a root in the pool.
func (c *Client) verify(s tls.ConnectionState, pool *x509.CertPool) error {
	if publickey.VerifyServer(s, pool) != nil {
		return errors.New("its certificate is not signed by a root that this host trusts")
	}
	id, err := svid.Identity(s.PeerCertificates[0])
	if err != nil || id != c.Server {
		return fmt.Errorf("it is %s and must be %s", id, c.Server)
	}
	return nil
}
