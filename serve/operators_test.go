package serve_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/serve"
)

// site is a server with an address for operators, and what it logs.
func site(t *testing.T, operators string) (*running, *lockedLog) {
	t.Helper()
	log := &lockedLog{}
	r := start(t, func(c *serve.Config) {
		c.OperatorsListen, c.TokenReview, c.Log = "127.0.0.1:0", users{}, slog.New(slog.NewJSONHandler(log, nil))
		c.Names = []string{"mesh.internal"}
	})
	if err := r.SetMesh(operated(t, operators)); err != nil {
		t.Fatal(err)
	}
	return r, log
}

// visit is the answer at the address for operators; status 0 where the connection fails.
func (r *running) visit(t *testing.T, config *tls.Config, method, path, body string, headers ...string) (*http.Response,
	string,
) {
	t.Helper()
	request, err := http.NewRequestWithContext(testContext(t), method, "https://"+r.OperatorsAddr()+path,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if request.Header.Set(headers[i], headers[i+1]); headers[i] == "host" {
			request.Host = headers[i+1]
		}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return &http.Response{}, err.Error()
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(data)
}

const (
	operating = `identities: ["spiffe://shop.example/ns/default/sa/cart"], kubernetes: {users: ["jane"], groups: ["sre"]}`
	cart      = "spiffe://shop.example/ns/default/sa/cart"
	frontend  = "spiffe://shop.example/ns/default/sa/frontend"
)

// Operators see the live page from elsewhere by their certificate or their token, and nobody else sees anything.
// Linkerd's dashboard was open to whoever could connect, and to names that were made to lead there (linkerd2 3083); its
// list of names then refused those who named it by its address (linkerd2 9754).
func TestOperatorsFromElsewhere(t *testing.T) {
	r, log := site(t, operating)
	stranger, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	none := shows(t, nil, "")
	_, port, _ := strings.Cut(r.OperatorsAddr(), ":")
	for _, path := range []string{"/", "/page/scene", "/edges", "/status"} {
		for _, c := range []struct {
			name    string
			config  *tls.Config
			headers []string
			want    int
		}{
			{"nobody", none, nil, 401},
			{"an operator by certificate", shows(t, r.authority, cart), nil, 200},
			{"another member", shows(t, r.authority, frontend), nil, 403},
			{"another authority", shows(t, stranger, cart), nil, 0},
			{"an operator by token", none, []string{"authorization", "Bearer jane secret-1"}, 200},
			{"one of a group", none, []string{"authorization", "Bearer joe sre"}, 200},
			{"another user", none, []string{"authorization", "Bearer joe secret-2"}, 403},
			{"a wrong token", none, []string{"authorization", "Bearer secret-3"}, 401},
			{"a wrong session", none, []string{"cookie", "__Host-meshc=secret-4"}, 401},
			{"a name of the server", shows(t, r.authority, cart), []string{"host", "Mesh.internal:" + port}, 200},
			{"a name that was made to lead here", shows(t, r.authority, cart), []string{"host", "evil.example"}, 403},
			{"a page of another site", shows(t, r.authority, cart), []string{"origin", "https://evil.example"}, 403},
		} {
			answer, body := r.visit(t, c.config, http.MethodGet, path, "", c.headers...)
			if answer.StatusCode != c.want || strings.Contains(body, "secret") {
				t.Errorf("%s, %s: %d %s", path, c.name, answer.StatusCode, body)
			}
		}
	}
	for _, path := range []string{"/mesh", "/metrics", "/healthz"} {
		if answer, _ := r.visit(t, shows(t, r.authority, cart), http.MethodGet, path, ""); answer.StatusCode != 404 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	if answer, body := r.visit(t, shows(t, r.authority, cart), http.MethodPost, "/v1/tap", `{"to": "absent"}`); answer.
		StatusCode != 200 || !strings.Contains(body, `the mesh has no service or external \"absent\"`) {
		t.Errorf("a tap by certificate: %d %s", answer.StatusCode, body)
	}
	if _, body := r.visit(t, shows(t, r.authority, frontend), http.MethodPost, "/v1/tap", `{"to": "cart"}`); !strings.
		Contains(body, frontend+" is not an operator of the mesh shop") {
		t.Errorf("a tap of another member: %s", body)
	}
	if err := r.SetMesh(operated(t, `identities: ["`+frontend+`"]`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mesh says at once who is an operator", func() bool {
		answer, _ := r.visit(t, shows(t, r.authority, cart), http.MethodGet, "/", "")
		return answer.StatusCode == 403
	})
	text := log.take()
	if !strings.Contains(text, `"operator":"`+cart+`"`) || strings.Contains(text, "secret") {
		t.Errorf("the log is %s", text)
	}
	if strings.Count(text, "an operator looks at the live page") != 3 {
		t.Errorf("three operators looked: %s", text)
	}
}

// In a browser an operator logs in with his token. What the browser keeps is not the token, and is worth nothing once
// he is no operator.
func TestOperatorsLogIn(t *testing.T) {
	r, log := site(t, operating)
	none := shows(t, nil, "")
	login := func(token string, headers ...string) (*http.Response, string) {
		headers = append(headers, "content-type", "application/x-www-form-urlencoded")
		return r.visit(t, none, http.MethodPost, "/login", url.Values{"token": {token}}.Encode(), headers...)
	}
	for token, want := range map[string]int{"secret-1": 401, "joe secret-2": 403, "": 401} {
		if answer, body := login(token); answer.StatusCode != want || answer.Header.Get("set-cookie") != "" ||
			strings.Contains(body, "secret") || !strings.Contains(body, "<textarea") {
			t.Errorf("%q: %d %s", token, answer.StatusCode, body)
		}
	}
	if answer, _ := login("jane secret-3", "origin", "https://evil.example"); answer.StatusCode != 403 {
		t.Errorf("a form of another site: %d", answer.StatusCode)
	}
	answer, _ := login("jane secret-4")
	cookies := answer.Cookies()
	if answer.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("the login: %d %v", answer.StatusCode, answer.Header)
	}
	c := cookies[0]
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.MaxAge != 900 || c.Path != "/" {
		t.Errorf("the cookie is %s", c)
	}
	kept := []string{"cookie", c.Name + "=" + c.Value}
	if answer, body := r.visit(t, none, http.MethodGet, "/", "", kept...); answer.StatusCode != 200 ||
		!strings.Contains(body, "<svg") && !strings.Contains(body, "<script") {
		t.Errorf("the page: %d %.200s", answer.StatusCode, body)
	}
	if err := r.SetMesh(operated(t, `kubernetes: users: ["joe"]`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who is no operator any more sees nothing", func() bool {
		answer, _ := r.visit(t, none, http.MethodGet, "/edges", "", kept...)
		return answer.StatusCode == 403
	})
	if text := log.take(); strings.Contains(text, "secret") || strings.Contains(text, c.Value) {
		t.Errorf("a secret is in the log: %s", text)
	}
	for range 300 { // of many sessions the newest stay
		login("joe x")
	}
	answer, _ = login("joe x")
	if cookies = answer.Cookies(); len(cookies) != 1 {
		t.Fatalf("the last login: %d", answer.StatusCode)
	}
	if answer, _ := r.visit(t, none, http.MethodGet, "/edges", "", "cookie",
		cookies[0].Name+"="+cookies[0].Value); answer.StatusCode != 200 {
		t.Errorf("the last session: %d", answer.StatusCode)
	}
}

// At an address that is not loopback the administrator's API answers to the names and addresses of the server alone, so
// that no page of another site reads it by a name that it makes lead here.
func TestAdministrationHasItsNames(t *testing.T) {
	r := start(t, func(c *serve.Config) { c.Names = []string{"mesh.internal"} })
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/status", "/edges", "/mesh", "/metrics"} {
		for host, want := range map[string]int{
			"mesh.internal": 200, "mesh.internal.:15011": 200, "10.1.2.3:15011": 200, "[2001:db8::1]:15011": 200,
			"evil.example": 403, "evil.example:15011": 403, "10.1.2.3.evil.example": 403, "": 403,
		} {
			request := httptest.NewRequest(http.MethodGet, path, nil) // of 192.0.2.1
			request.Host = host
			answer := httptest.NewRecorder()
			r.AdminHandler().ServeHTTP(answer, request)
			if answer.Code != want {
				t.Errorf("%s of %q: %d %s", path, host, answer.Code, answer.Body)
			}
			if want == 403 && !strings.Contains(answer.Body.String(), "--name") {
				t.Errorf("%q does not say what to do: %s", host, answer.Body)
			}
		}
	}
	for _, path := range []string{"/", "/page/scene"} { // which is for this host, or for operators at theirs
		request := httptest.NewRequest(http.MethodGet, path, nil)
		request.Host = "mesh.internal"
		answer := httptest.NewRecorder()
		r.AdminHandler().ServeHTTP(answer, request)
		if answer.Code != 403 || !strings.Contains(answer.Body.String(), "--operators-listen") {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	request := httptest.NewRequest(http.MethodGet, "/healthz", nil)
	request.Host = "evil.example"
	answer := httptest.NewRecorder()
	if r.AdminHandler().ServeHTTP(answer, request); answer.Code != 200 { // probes name what they like
		t.Errorf("/healthz: %d", answer.Code)
	}
}

// hanging is a Kubernetes that reviews no token of "stuck".
type hanging struct{ users }

func (h hanging) User(ctx context.Context, token string, server spiffeid.ID) (string, []string, error) {
	if token == "stuck" {
		<-ctx.Done()
		return "", nil, ctx.Err()
	}
	return h.users.User(ctx, token, server)
}

// TestReviewsOfTokensAreBounded: one address whose tokens take long to review keeps nobody elsewhere from theirs.
func TestReviewsOfTokensAreBounded(t *testing.T) {
	const asked, reviewed = 40, 4
	r := start(t, func(c *serve.Config) { c.OperatorsListen, c.TokenReview = "127.0.0.1:0", hanging{} })
	if err := r.SetMesh(operated(t, operating)); err != nil {
		t.Fatal(err)
	}
	at := door{address: r.OperatorsAddr(), client: shows(t, nil, "")}
	answers := func(from, token string) <-chan string {
		conn, status := tls.Client(at.connect(t, from), at.client), make(chan string, 1)
		go func() {
			_, _ = io.WriteString(conn, "GET /status HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer "+token+
				"\r\n\r\n") // what comes back counts
			line, _ := bufio.NewReader(conn).ReadString('\n')
			status <- line
		}()
		return status
	}
	refused := make(chan string, asked)
	for range asked {
		status := answers("127.0.0.2", "stuck")
		go func() { refused <- <-status }()
	}
	for range asked - reviewed {
		if status := <-refused; !strings.Contains(status, "401") {
			t.Errorf("one token too many: %q", status)
		}
	}
	if status := <-answers("127.0.0.1", "jane secret-1"); !strings.Contains(status, "200") {
		t.Errorf("an operator elsewhere: %q", status)
	}
}
