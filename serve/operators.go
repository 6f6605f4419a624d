package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/serve/heard"
)

// operatorsSite is the live page, its numbers, and taps, for operators (mesh.operators) who come from elsewhere: over
// TLS, with a certificate of the mesh or a token of Kubernetes. The mesh of the moment says who they are.
type operatorsSite struct {
	server   *Server
	sessions *sessions
	reviews  addressCounts   // tokens that are being reviewed
	refusals *rate.Sometimes // bounds what is logged of strangers

	mu   sync.Mutex
	seen map[string]time.Time // operators, since their last line in the log
}

const (
	// maxReviews is how many tokens are reviewed at once, and maxReviewsOfAddress those that come from one address.
	maxReviews, maxReviewsOfAddress = 32, 4
	// maxSeen is how many operators are remembered.
	maxSeen = 1000
)

// operator is who sends a request.
type operator struct {
	name string
	// may reports whether he is one of those operators.
	may func(*ir.Operators) bool
}

// errNoProof is that nobody says who sends a request.
var errNoProof = errors.New("this is for who shows the certificate of an operator, or a token of Kubernetes")

// operating is the HTTP server for operators.
func (s *Server) operating() *http.Server {
	site := &operatorsSite{
		server: s, sessions: newSessions(), refusals: logOfStrangers(), seen: map[string]time.Time{},
	}
	return &http.Server{
		Handler: site.handler(), TLSConfig: s.operatorsTLS(), ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 2 * maxToken, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), // whoever connects could fill the log
	}
}

func (o *operatorsSite) handler() http.Handler {
	mux := http.NewServeMux()
	drawn := &pages{server: o.server}
	mux.Handle("GET /{$}", o.forOperators(drawn.page))
	mux.Handle("GET /page/scene", o.forOperators(drawn.scene))
	mux.Handle("GET /status", o.forOperators(o.server.tellStatus))
	mux.Handle("GET /edges", o.forOperators(o.server.tellEdges))
	mux.HandleFunc("POST "+enroll.TapPath, o.byCertificate(o.server.tapByToken, o.server.tapOverHTTP))
	mux.HandleFunc("POST "+enroll.LeverPath, o.byCertificate(o.server.leverByToken, o.server.leverOverHTTP))
	mux.HandleFunc("POST /login", o.login)
	return o.server.ownSite(mux)
}

// forOperators lets operators ask.
func (o *operatorsSite) forOperators(show http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := o.sender(r)
		if err == nil {
			err = o.admits(who)
		}
		if err != nil {
			o.refuse(w, r, who, err)
			return
		}
		o.record(who.name)
		show(w, r)
	})
}

// sender is who sends a request, by his certificate, the token in it, or the token that he logged in with.
func (o *operatorsSite) sender(r *http.Request) (*operator, error) {
	if shown := r.TLS.PeerCertificates; len(shown) > 0 { // verified in the handshake
		id, err := svid.Identity(shown[0])
		switch {
		case err != nil:
			return nil, err
		case time.Now().After(shown[0].NotAfter):
			return nil, errors.New("the certificate has expired")
		case o.server.revoked.revoked(shown[0]):
			return nil, errRevoked
		}
		return &operator{id.String(), func(list *ir.Operators) bool { return list.AllowIdentity(id) }}, nil
	}
	if r.Header.Get("Authorization") != "" {
		return o.byToken(r)
	}
	if who := o.sessions.operator(r, time.Now()); who != nil {
		return who, nil
	}
	return nil, errNoProof
}

// byToken asks Kubernetes whose the token of a request is.
func (o *operatorsSite) byToken(r *http.Request) (*operator, error) {
	leave, err := o.reviews.enter(network(r.RemoteAddr), maxReviewsOfAddress, maxReviews)
	if err != nil {
		return nil, fmt.Errorf("%w tokens that are being reviewed: ask again", err)
	}
	defer leave()
	who, err := o.server.operatorByToken(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errToken, err)
	}
	return who, nil
}

// errToken is all that whoever shows a wrong token is told; the log has the reason.
var errToken = errors.New("the token is not valid here, or cannot be reviewed")

// notOperator is somebody who proved who he is, and is no operator.
type notOperator struct{ name, mesh string }

func (e *notOperator) Error() string {
	return fmt.Sprintf("%s is not an operator of the mesh %s (mesh.operators)", e.name, e.mesh)
}

func (o *operatorsSite) admits(who *operator) error {
	m := o.server.live.now().mesh
	switch {
	case m == nil:
		return errors.New("no mesh is loaded yet")
	case !who.may(m.Operators):
		return &notOperator{who.name, m.Name}
	}
	return nil
}

// refuse answers somebody who is no operator: a browser that asks for the page, by asking for a token.
func (o *operatorsSite) refuse(w http.ResponseWriter, r *http.Request, who *operator, err error) {
	text, code := err.Error(), http.StatusUnauthorized
	if errors.Is(err, errToken) {
		text = errToken.Error()
	}
	if who != nil {
		code = http.StatusForbidden
	}
	if !errors.Is(err, errNoProof) {
		o.server.metrics.pageRefused.Inc()
		o.refusals.Do(func() {
			o.server.log.Warn("an operator's page was refused", "from", r.RemoteAddr, "reason", err)
		})
	}
	if r.URL.Path == "/" || r.URL.Path == "/login" {
		o.askToken(w, code, text, !errors.Is(err, errNoProof))
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	answer(w, code, heard.Line(text, 500)+"\n")
}

// record says in the log who looks, once in a while.
func (o *operatorsSite) record(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Sub(o.seen[name]) < tapByTokenTime {
		return
	}
	if len(o.seen) >= maxSeen {
		clear(o.seen)
	}
	o.seen[name] = now
	o.server.log.Info("an operator looks at the live page", "operator", name)
}

// byCertificate is what somebody asks who shows a certificate, or else a token. A browser's session is not enough.
func (o *operatorsSite) byCertificate(
	byToken http.HandlerFunc, proven func(http.ResponseWriter, *http.Request, *operator),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			byToken(w, r)
			return
		}
		who, err := o.sender(r)
		if err != nil {
			o.refuse(w, r, who, err)
			return
		}
		proven(w, r, who)
	}
}

// operatorsTLS asks for a certificate of the mesh, and is content with none.
func (s *Server) operatorsTLS() *tls.Config {
	return s.httpTLS(tls.RequestClientCert, func(shown [][]byte) error {
		if len(shown) == 0 {
			return nil
		}
		roots, err := s.identity.roots()
		if err == nil {
			_, err = publickey.VerifyPeer(shown, roots, x509.ExtKeyUsageClientAuth)
		}
		return err
	})
}
