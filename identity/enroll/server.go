// Package enroll is the API by which hosts and pods get their certificates from meshc serve over TLS. A client
// creates its key, sends a certificate signing request, and proves its identity: with a join token (once), with a
// service account token (while Kubernetes confirms it), or with a certificate that has not expired.
package enroll

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/serve/heard"
)

// The paths of the API.
const (
	certificatesPath = "/v1/certificates" // POST a Request, get an Answer
	trustPath        = "/v1/trust"        // GET a Trust
	TapPath          = "/v1/tap"          // POST what meshc serve takes of operators
	LeverPath        = "/v1/lever"        // as TapPath
)

// Request is the body of a request for a certificate.
type Request struct {
	// Request is a certificate signing request in PEM.
	Request string `json:"request"`
	// Token is a join token, for a holder that has no certificate yet.
	Token string `json:"token,omitempty"`
	// ServiceAccountToken is the Kubernetes service account token of a pod. Its audience must be the identity of the
	// server.
	ServiceAccountToken string `json:"serviceAccountToken,omitempty"`
	// Holder is the name of the sender, to distinguish it from others with the same identity.
	Holder string `json:"holder,omitempty"`
}

// Answer is the body of the response: the certificate.
type Answer struct {
	// Chain is the leaf, followed by the intermediates, and Bundle is the trust bundle; both in PEM.
	Chain  string `json:"chain"`
	Bundle string `json:"bundle"`
}

// Trust is the trust bundle that the server returns.
type Trust struct {
	Bundle string `json:"bundle"`
	// Signer is the digest of the root that signs.
	Signer string `json:"signer"`
}

// failure is the body of an answer that refuses a request.
type failure struct {
	Error string `json:"error"`
}

// Limits on what one client may ask.
const (
	maxBody = 64 << 10 // bytes
	perHost = 20       // requests a second, and as many again at once
)

// Config has the dependencies and settings of [Server].
type Config struct {
	Authority *ca.Authority
	// TokenReview verifies service account tokens; nil if the server accepts none.
	TokenReview TokenReviewer
	// Certificate returns the server's own certificate.
	Certificate func() (*tls.Certificate, error)
	// Mesh returns the mesh that is served; nil while there is none.
	Mesh func() *ir.Mesh
	// Seen is called with what the server learns about a holder.
	Seen func(Sighting)
	// Tap answers operators who show a token, by POST to TapPath; nil if there is nothing to ask.
	Tap http.Handler
	// Lever is as Tap, by POST to LeverPath.
	Lever http.Handler
	// Refused is called for each request that is refused.
	Refused func()
	Log     *slog.Logger
}

// Sighting is what the server learns about the holder of a certificate when it sends a request.
type Sighting struct {
	ID     spiffeid.ID
	Holder string // its name
	// Bundle is the digest of the trust bundle that the holder uses.
	Bundle string
	// Until is when its certificate expires.
	Until time.Time
	// Proof says when the holder last proved its identity; zero if its certificate does not contain this.
	Proof ca.Proof
	// Keeps is true if the holder also asks for the trust bundle, which means that it keeps its certificate up to
	// date.
	Keeps bool
}

// TokenReviewer verifies a Kubernetes service account token and returns its identity. The token's audience must be
// the server's identity.
type TokenReviewer interface {
	Identity(ctx context.Context, token string, server spiffeid.ID) (spiffeid.ID, error)
	// User is whose a token is, with the groups of that user. Its audience is the server's identity or the API server.
	User(ctx context.Context, token string, server spiffeid.ID) (name string, groups []string, err error)
}

// errReview is all that the client is told; the reason is logged.
var errReview = errors.New("the service account token is not valid here, or cannot be reviewed")

// Server returns the HTTP server of the API. If a client shows a certificate, it is verified.
func Server(c Config) *http.Server {
	a := &api{Config: c, limits: newLimits(perHost)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+certificatesPath, a.certificate)
	mux.HandleFunc("GET "+trustPath, a.trust)
	if c.Tap != nil {
		mux.Handle("POST "+TapPath, c.Tap)
	}
	if c.Lever != nil {
		mux.Handle("POST "+LeverPath, c.Lever)
	}
	return &http.Server{
		Handler: a.limited(mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 20 * time.Second,
		IdleTimeout:  time.Minute, MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(c.Log.Handler(),
			slog.LevelDebug),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS13,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				own, err := c.Certificate()
				if err != nil {
					return nil, err
				}
				return &tls.Config{
					MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*own},
					NextProtos: []string{"http/1.1"},
					ClientAuth: tls.RequestClientCert, VerifyPeerCertificate: a.verify, SessionTicketsDisabled: true,
				}, nil
			},
		},
	}
}

type api struct {
	Config
	limits *limits
}

// limited answers 429 to hosts that send too many requests.
func (a *api) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !a.limits.allow(host, time.Now()) {
			say(w, http.StatusTooManyRequests, "too many requests: ask again later")
			return
		}
		defer func() {
			if v := recover(); v != nil {
				a.Log.Error("a request could not be answered", "path", r.URL.Path, "from", r.RemoteAddr, "error", v)
				say(w, http.StatusInternalServerError, "that went wrong here: see the server's log")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// certificate signs a request for the identity that the client has proved.
func (a *api) certificate(w http.ResponseWriter, r *http.Request) {
	var asked Request
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&asked); err != nil {
		say(w, http.StatusBadRequest, "the request is not what is asked for here")
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		say(w, http.StatusBadRequest, "something follows the request")
		return
	}
	mesh := a.Mesh()
	if mesh == nil {
		say(w, http.StatusServiceUnavailable, "no mesh is loaded yet")
		return
	}
	request, err := svid.ParseRequest([]byte(asked.Request))
	if err != nil {
		say(w, http.StatusBadRequest, "the certificate request cannot be read: "+err.Error())
		return
	}
	if kind := svid.KindOf(request.PublicKey); kind != mesh.Certificates.Key {
		say(w, http.StatusBadRequest, "the mesh's keys are "+string(mesh.Certificates.Key)+
			", and the request's is another")
		return
	}
	id, err := a.proved(r, &asked, mesh)
	if errors.Is(err, ca.ErrNotRecorded) {
		a.Log.Error("a join token cannot be taken", "from", r.RemoteAddr, "error", err)
		say(w, http.StatusServiceUnavailable, "join tokens cannot be taken now: see the server's log")
		return
	}
	if err != nil {
		a.Refused()
		a.Log.Warn("a certificate was refused", "from", r.RemoteAddr, "reason", err)
		say(w, http.StatusForbidden, err.Error())
		return
	}
	if !isMember(mesh, id) {
		a.Refused()
		a.Log.Warn("a certificate was refused", "from", r.RemoteAddr, "identity", id, "reason", "no member of the mesh")
		say(w, http.StatusForbidden, id.String()+" is not a member of the mesh")
		return
	}
	proof, err := a.proof(r, &asked, id, time.Duration(cmp.Or(mesh.Certificates.RenewFor, ir.DefaultRenewFor)),
		time.Now())
	if err != nil {
		a.Refused()
		a.Log.Warn("a certificate was refused", "from", r.RemoteAddr, "identity", id, "reason", err)
		say(w, http.StatusForbidden, err.Error())
		return
	}
	chain, err := a.Authority.SignProved(request, id, time.Duration(mesh.Certificates.Lifetime), proof)
	if errors.Is(err, ca.ErrNotSigned) {
		a.Log.Error("a certificate cannot be signed", "from", r.RemoteAddr, "identity", id, "error", err)
		say(w, http.StatusServiceUnavailable, "certificates cannot be signed now: see the server's log")
		return
	}
	if err != nil {
		say(w, http.StatusBadRequest, err.Error())
		return
	}
	bundle := a.Authority.Bundle()
	a.Seen(Sighting{
		ID: id, Holder: heard.Line(asked.Holder, maxSaid), Bundle: ca.Digest(bundle),
		Until: svid.Certificates(chain)[0].NotAfter, Proof: proof,
	})
	a.Log.Info("a certificate was signed", "identity", id, "from", r.RemoteAddr, "joined", asked.Token != "",
		"serviceAccount", asked.ServiceAccountToken != "")
	answer(w, Answer{Chain: string(chain), Bundle: string(bundle)})
}

// proved returns the identity that the client has proved: with its certificate, with a service account token, or with
// a join token, which is then used up.
func (a *api) proved(r *http.Request, asked *Request, mesh *ir.Mesh) (spiffeid.ID, error) {
	switch {
	case asked.Token != "" && asked.ServiceAccountToken != "":
		return spiffeid.ID{}, errors.New("there are two tokens: send one")
	case asked.Token != "":
		return a.Authority.Redeem(asked.Token, mesh.ServerIdentity(), time.Now())
	case asked.ServiceAccountToken != "" && a.TokenReview == nil:
		return spiffeid.ID{}, errors.New(
			"this server does not accept service account tokens (meshc serve --kubernetes-api)")
	case asked.ServiceAccountToken != "":
		id, err := a.TokenReview.Identity(r.Context(), asked.ServiceAccountToken, mesh.ServerIdentity())
		if err != nil {
			a.Log.Warn("a service account token was refused", "from", r.RemoteAddr, "reason", err)
			return spiffeid.ID{}, errReview
		}
		return id, nil
	}
	if id, ok := a.shown(r); ok {
		return id, nil
	}
	return spiffeid.ID{}, errors.New("there is neither a token nor a valid certificate")
}

// errRenewals is returned if a certificate can no longer be renewed without a token.
var errRenewals = errors.New("the certificate may not be renewed any longer (mesh.certificates.renewFor): join again with a new join token (meshc certs token)")

// proof returns when the client last proved its identity with a token: now, or the time in its certificate. For a
// certificate without such a time, which was signed before the limit existed, it is now.
func (a *api) proof(r *http.Request, asked *Request, id spiffeid.ID, renewFor time.Duration, now time.Time) (ca.Proof,
	error,
) {
	fresh := ca.NewProof(now, renewFor)
	chain, err := ca.NewChain()
	if err != nil {
		return fresh, err
	}
	fresh.Chain = chain
	shown, holds := a.shown(r)
	holds = holds && shown == id
	var before ca.Proof
	if holds {
		before, holds = ca.ProofOf(r.TLS.PeerCertificates[0])
	}
	revoked := a.Authority.Renews(id, before.Chain)
	if holds && revoked == nil && before.Chain != "" {
		fresh.Chain = before.Chain // it is the same holder's
	}
	if asked.Token != "" {
		return fresh, a.Authority.Renews(id, fresh.Chain) // Redeem has looked at the time of the token
	}
	if revoked != nil {
		return fresh, revoked
	}
	if asked.ServiceAccountToken != "" || !holds {
		return fresh, nil
	}
	// The mesh's limit as it is now decides, not the one when the proof was made.
	proof := ca.NewProof(before.At, renewFor)
	proof.Chain = fresh.Chain
	if proof.RenewableUntil.Sub(now) < time.Second {
		return proof, errRenewals
	}
	return proof, nil
}

// verify ends a handshake with a client certificate that is not valid.
func (a *api) verify(shown [][]byte, _ [][]*x509.Certificate) error {
	if len(shown) == 0 {
		return nil
	}
	_, err := publickey.VerifyPeer(shown, a.Authority.Pool(), x509.ExtKeyUsageClientAuth)
	return err
}

// shown returns the identity in the client's certificate. The certificate was verified when the connection began; it
// is verified again, because that may be long ago.
func (a *api) shown(r *http.Request) (spiffeid.ID, bool) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return spiffeid.ID{}, false
	}
	var chain [][]byte
	for _, c := range r.TLS.PeerCertificates {
		chain = append(chain, c.Raw)
	}
	if err := a.verify(chain, nil); err != nil {
		return spiffeid.ID{}, false
	}
	id, err := svid.Identity(r.TLS.PeerCertificates[0])
	return id, err == nil
}

func isMember(m *ir.Mesh, id spiffeid.ID) bool {
	for _, s := range m.Services {
		if s.Identity == id {
			return true
		}
	}
	for _, g := range m.Gateways {
		if g.Identity == id {
			return true
		}
	}
	return false
}

// trust returns the trust bundle, which is not secret, and records which bundle the holder has.
func (a *api) trust(w http.ResponseWriter, r *http.Request) {
	if id, ok := a.shown(r); ok {
		q := r.URL.Query()
		proof, _ := ca.ProofOf(r.TLS.PeerCertificates[0])
		a.Seen(Sighting{ID: id, Holder: heard.Line(q.Get("holder"), maxSaid), Bundle: heard.Line(q.Get("bundle"),
			maxSaid), Until: r.TLS.PeerCertificates[0].NotAfter, Proof: proof, Keeps: true})
	}
	answer(w, Trust{Bundle: string(a.Authority.Bundle()), Signer: a.Authority.Signer()})
}

// maxSaid is how much is kept of each thing that a client says of itself, in bytes.
const maxSaid = 128

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failure{text}) // the client may be gone
}
