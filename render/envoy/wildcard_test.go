package envoy

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/compiler/ir"
)

// wildcards are externals with all names below example.com, straight and through a gateway, local and not: by HTTP, by
// TLS that is originated, and by TLS of the caller. Their servers are on 127.0.0.1 and 127.0.0.2.
type wildcards struct {
	names   *nameServer
	bind    map[string]string // by "WAY-WHERE PORT"
	reached *counter
	roots   string
	exit    string // the egress gateway
	member  tls.Certificate
}

func newWildcards(t *testing.T) *wildcards {
	t.Helper()
	w := &wildcards{names: newNameServer(t), bind: map[string]string{}, reached: &counter{}}
	ports := w.servers(t)
	authority := newAuthority(t)
	free := freePorts(t, 20)
	next := func() uint16 { p := free[0]; free = free[1:]; return p }
	client := caller(t, authority, next())
	g := &ir.Gateway{
		Name: "exit", Namespace: "shop", Identity: identity("exit"), Address: "127.0.0.1",
		Proxy: proxy(ir.InterceptExplicit), Egress: &ir.Egress{Host: "127.0.0.1", Port: next()},
	}
	w.exit, w.member = fmt.Sprintf("127.0.0.1:%d", g.Egress.Port), authority.leaf(t, client.Identity.String())
	g.Proxy.AdminPort = next()
	g.Proxy.CertificateDirectory = authority.directory(t, g.Identity.String())
	m := &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{client}, Gateways: []*ir.Gateway{g},
	}
	via := &ir.Via{
		Gateway: "exit", Namespace: "shop", Identity: g.Identity, Host: "127.0.0.1", Port: g.Egress.Port,
	}
	for _, way := range []string{"straight", "via"} {
		for _, where := range []string{"local", "remote"} {
			e := &ir.External{
				Name: way + "-" + where, Hosts: []string{"*.example.com"}, Local: where == "local", Roots: w.roots,
				Ports: []ir.Port{
					{Name: "http", Number: 80, Target: ports["http"], Protocol: ir.HTTP},
					{Name: "https", Number: 80, Target: ports["https"], Protocol: ir.HTTPS},
					{Name: "tls", Number: 443, Target: ports["https"], Protocol: ir.TLS},
				},
			}
			use := ir.Use{To: e.Name, External: true, Binds: map[string]string{}}
			for _, p := range e.Ports {
				use.Ports = append(use.Ports, p.Name)
				use.Binds[p.Name] = fmt.Sprintf("127.0.0.1:%d", next())
				w.bind[e.Name+" "+p.Name] = use.Binds[p.Name]
			}
			client.Uses = append(client.Uses, use)
			if way == "via" {
				e.Via = via
				g.Uses = append(g.Uses, ir.Use{To: e.Name, External: true, Ports: use.Ports})
				g.Egress.Externals = append(g.Egress.Externals,
					ir.EgressExternal{Name: e.Name, Callers: []ir.Peer{client.Peer()}})
			}
			m.Externals = append(m.Externals, e)
		}
	}
	for instance, scope := range map[string]ir.Scope{"": m.GatewayScope(g), "a": m.ServiceScope(client)} {
		boot, err := Bootstrap(scope, Options{Instance: instance})
		if err != nil {
			t.Fatal(err)
		}
		start(t, w.names.asksEverywhere(t, boot))
	}
	return w
}

// servers answer by HTTP and by HTTPS at both addresses, and tell theirs. The ports are the same at either.
func (w *wildcards) servers(t *testing.T) map[string]uint16 {
	t.Helper()
	ports := map[string]uint16{}
	for i, at := range []string{"127.0.0.1", "127.0.0.2"} {
		for _, sort := range []string{"http", "https"} {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(out, at+" has "+r.Host)
			}))
			server.Listener.Close()
			listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", at, ports[sort]))
			if err != nil {
				t.Fatal(err)
			}
			ports[sort] = portOf(listener)
			server.Listener = reads{listener, w.reached}
			if sort == "http" {
				server.Start()
			} else {
				server.StartTLS()
			}
			t.Cleanup(server.Close)
			if i == 0 && sort == "https" {
				w.roots = filepath.Join(t.TempDir(), "roots.pem")
				root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
				if err := os.WriteFile(w.roots, root, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return ports
}

// asksEverywhere is a bootstrap whose proxy looks all names up there, also those that callers ask for.
func (n *nameServer) asksEverywhere(t *testing.T, boot *bootstrapv3.Bootstrap) *bootstrapv3.Bootstrap {
	t.Helper()
	data, err := protojson.Marshal(boot)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	server := map[string]any{"socketAddress": map[string]any{
		"protocol": "UDP", "address": "127.0.0.1", "portValue": n.conn.LocalAddr().(*net.UDPAddr).Port,
	}}
	var walk func(any)
	walk = func(at any) {
		switch at := at.(type) {
		case map[string]any:
			if r, ok := at["typedDnsResolverConfig"].(map[string]any); ok {
				r["typedConfig"].(map[string]any)["resolvers"] = []any{server}
			}
			for _, below := range at {
				walk(below)
			}
		case []any:
			for _, below := range at {
				walk(below)
			}
		}
	}
	walk(tree)
	if data, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	out := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// get is what the caller hears of a host by an external: a status and a body, or why there is none.
func (w *wildcards) get(by, host string) string {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if strings.HasSuffix(by, " tls") {
		scheme = "https"
		name := strings.TrimSuffix(host, ":1")
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, ServerName: name}
	}
	return answerFor(transport, scheme+"://"+w.bind[by]+"/", host)
}

// past is what a member hears that comes to the egress gateway past its own proxy.
func (w *wildcards) past(e, port, host string) string {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, ServerName: port + "." + e + ".egress", Certificates: []tls.Certificate{w.member},
	}}
	defer transport.CloseIdleConnections()
	return answerFor(transport, "https://"+w.exit+"/", host)
}

// answerFor is the answer to a request for a host: its status and its body, or why there is none.
func answerFor(by *http.Transport, url, host string) string {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	r.Host = host
	client := &http.Client{Transport: by, Timeout: 30 * time.Second}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(r)
	if err != nil {
		return "closed"
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, body)
}

// TestWildcards: of an external with a wildcard the host that was asked for is reached, each where it is, at the port
// of the external whatever port the request names; another host is not, nor one that leads to where no proxy may be
// led, of which not even a handshake arrives. So it is straight and through an egress gateway, by the host of requests
// and by the name in handshakes. Users' reports: istio/istio#58688 (the host is the caller's to write),
// istio/istio#57972 (so is the name), istio/istio#61831 (gateways).
func TestWildcards(t *testing.T) {
	w := newWildcards(t)
	w.names.say("a.example.com", "127.0.0.1")
	w.names.say("b.example.com", "127.0.0.2")
	w.names.say("a.example.org", "127.0.0.1")
	for _, way := range []string{"straight", "via"} {
		for _, port := range []string{"http", "https", "tls"} {
			local := way + "-local " + port
			for host, want := range map[string]string{
				"a.example.com": "200 127.0.0.1 has a.example.com", "b.example.com": "200 127.0.0.2 has b.example.com",
				"a.example.com:1": "200 127.0.0.1 has a.example.com:1",
			} {
				eventually(t, local+" to "+host, func() error {
					if got := w.get(local, host); got != want {
						return fmt.Errorf("%s", got)
					}
					return nil
				})
			}
			before := w.reached.get()
			for _, where := range []string{"-local ", "-remote "} {
				for host, want := range elsewhere {
					if port == "tls" {
						want = "closed"
					}
					if got := w.get(way+where+port, host); !strings.HasPrefix(got, want) {
						t.Errorf("%s%s%s leads to %s: %s", way, where, port, host, got)
					}
				}
			}
			for i, answer := range forbiddenAnswers {
				host := fmt.Sprintf("rebound-%d.example.com", i)
				w.names.say(host, answer)
				if got := w.get(way+"-remote "+port, host); strings.HasPrefix(got, "200") {
					t.Errorf("%s leads to %s: %s", way, answer, got)
				}
			}
			if more := w.reached.get() - before; more > 0 {
				t.Errorf("%s %s: %d connections have come in where nobody may be led", way, port, more)
			}
		}
	}
}

// TestWildcardsPastAProxy: an egress gateway holds a member to the wildcard that comes to it past its own proxy.
func TestWildcardsPastAProxy(t *testing.T) {
	w := newWildcards(t)
	w.names.say("a.example.com", "127.0.0.1")
	for _, port := range []string{"http", "https"} {
		eventually(t, port, func() error {
			if got := w.past("via-local", port, "a.example.com"); got != "200 127.0.0.1 has a.example.com" {
				return fmt.Errorf("%s", got)
			}
			return nil
		})
		before := w.reached.get()
		for host := range elsewhere {
			if got := w.past("via-local", port, host); strings.HasPrefix(got, "200") {
				t.Errorf("%s leads to %s: %s", port, host, got)
			}
		}
		if more := w.reached.get() - before; more > 0 {
			t.Errorf("%s: %d connections have come in where nobody may be led", port, more)
		}
	}
}

// elsewhere are hosts that are not below example.com, with the status that a proxy answers at a bind. Some end as if
// they were: with a port behind it, the host would be the address before the first colon.
var elsewhere = map[string]string{
	"a.example.org": "404", "example.com": "404", "a.example.com.example.org": "404", "127.0.0.1": "404",
	"127.0.0.1:80": "404", "[::1]": "404", "[::ffff:127.0.0.1]:80": "404", "127.0.0.1:x.example.com": "400",
	"127.0.0.2:80.example.com": "400", "169.254.169.254:.example.com": "400",
	"[::ffff:127.0.0.1]:x.example.com": "400", "127.0.0.1@x.example.com": "400", "x@127.0.0.1:80.example.com": "400",
	"127.0.0.2:x.example.com:80": "400",
}

// forbiddenAnswers are addresses to which no proxy may be led, in all families.
var forbiddenAnswers = []string{
	"127.0.0.1", "127.0.0.2", "0.0.0.0", "169.254.169.254", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1",
	"64:ff9b::7f00:1", "fe80::1", "fd00:ec2::254",
}
