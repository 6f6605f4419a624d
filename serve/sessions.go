package serve

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// sessions are operators who logged in with a token, in a browser, which cannot send one by itself. What the browser
// keeps is no token: it is worth nothing elsewhere, and nothing here after [tapByTokenTime].
type sessions struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]*session // by the digest of what the browser keeps
}

type session struct {
	*operator
	until time.Time
}

const (
	// sessionCookie is sent over TLS to this host alone, and by no request of another site (RFC 6265bis, 4.1.3).
	sessionCookie = "__Host-meshc"
	maxSessions   = 256
)

func newSessions() *sessions { return &sessions{open: map[[sha256.Size]byte]*session{}} }

// begin is the cookie of a new session. Of too many the one that ends first is over.
func (s *sessions) begin(who *operator, now time.Time) *http.Cookie {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // which does not fail
	value := base64.RawURLEncoding.EncodeToString(secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest [sha256.Size]byte
	for key, one := range s.open {
		if now.After(one.until) {
			delete(s.open, key)
		} else if first := s.open[oldest]; first == nil || one.until.Before(first.until) {
			oldest = key
		}
	}
	if len(s.open) >= maxSessions {
		delete(s.open, oldest)
	}
	s.open[sha256.Sum256([]byte(value))] = &session{who, now.Add(tapByTokenTime)}
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: int(tapByTokenTime.Seconds()), Secure: true,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// operator is who sends a request in a session that has not ended; nil for nobody.
func (s *sessions) operator(r *http.Request, now time.Time) *operator {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.open[sha256.Sum256([]byte(cookie.Value))]
	if one == nil || now.After(one.until) {
		return nil
	}
	return one.operator
}

//go:embed login.html
var loginText string

var loginPage = template.Must(template.New("login").Parse(loginText))

// loginPolicy lets the page that asks for a token send it here, and do nothing else.
const loginPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'"

// askToken answers with a page that asks for a token, or says that this server takes none. Wrong is set where something
// was shown that is not good.
func (o *operatorsSite) askToken(w http.ResponseWriter, code int, why string, wrong bool) {
	audience := ""
	if m := o.server.live.now().mesh; m != nil {
		audience = m.ServerIdentity().String()
	}
	var body bytes.Buffer
	err := loginPage.Execute(&body, map[string]any{
		"Why": why, "Wrong": wrong, "Audience": audience, "Tokens": o.server.config.TokenReview != nil,
	})
	if err != nil {
		answer(w, http.StatusInternalServerError, "the page cannot be written\n")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", loginPolicy)
	w.Header().Set("X-Frame-Options", "DENY")
	w.Header().Set("Referrer-Policy", "same-origin") // else browsers name no origin for the form
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes()) // a client that goes away does not concern meshc
}

// login begins a session of the operator whose token is in the form.
func (o *operatorsSite) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 2*maxToken)
	if r.ParseForm() != nil {
		o.askToken(w, http.StatusBadRequest, "the form cannot be read", true)
		return
	}
	shown := &http.Request{
		Method: r.Method, URL: &url.URL{Path: r.URL.Path}, RemoteAddr: r.RemoteAddr,
		Header: http.Header{"Authorization": {"Bearer " + r.PostForm.Get("token")}},
	}
	who, err := o.byToken(shown.WithContext(r.Context()))
	if err == nil {
		err = o.admits(who)
	}
	if err != nil {
		o.refuse(w, r, who, err)
		return
	}
	http.SetCookie(w, o.sessions.begin(who, time.Now()))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
