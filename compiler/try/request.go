// Package try follows one request through a compiled mesh without running anything: which
// route takes it, where it goes, what happens to it on the way and who lets it in, each step with the
// line of the spec that decided. It answers as Envoy would that is configured for the mesh, and
// says so where that cannot be told.
package try

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/net/http/httpguts"

	"github.com/meshc/meshc/compiler/ir"
)

// Request is a request of HTTP, as its sender makes it.
type Request struct {
	// From is who sends it: a service, a gateway by which somebody outside comes, somebody with an
	// [Identity] who comes to the callee's proxy directly, or nobody of the mesh, when Kind is
	// [Outside].
	From Sender
	// Method is as it is sent, "GET" say.
	Method string
	// Scheme is "http", "https", "tcp" for a connection of which nothing else is known, or "udp" for a datagram; Host
	// is without a port, and Port 0 for the scheme's own.
	Scheme, Host string
	Port         uint16
	// Authority is the header host as it is sent; "" for Host, with Port where that is not the scheme's own.
	Authority string
	// ServerName is the name in the TLS handshake (SNI), where that is another than Host; "" for Host.
	ServerName string
	// Path is as it is sent, with its query.
	Path string
	// Headers are in their order; names in lower case.
	Headers []ir.Header
	// Token is a good token that it carries; nil for none.
	Token *Token
	// Empty says that it has no body.
	Empty bool
	// Partial says that no more is known of it than is given: what other headers it has, what its token is, and its
	// query where the path has none. So it is with a line of an access log.
	Partial bool
	// IP is where it comes from; the zero value when that is not known.
	IP netip.Addr
	// At is when it is sent, for rules that end; the zero value for now.
	At time.Time
}

// Sender is who sends a request: a member; [ir.KindIdentity], who bypasses every proxy of its own, with the SPIFFE ID
// that is its name; or [Outside].
type Sender struct {
	Kind ir.MemberKind `json:"kind"`
	Name string        `json:"name,omitempty"`
}

// Outside is the kind of a sender that is not a member of the mesh and has no identity.
const Outside ir.MemberKind = "outside"

// String is "service frontend", "gateway public" or "outside".
func (s Sender) String() string { return strings.TrimSpace(string(s.Kind) + " " + s.Name) }

// Token is a JSON Web Token, by the name of its issuer in the mesh. Claims are of text, or
// lists of it.
type Token struct {
	Issuer string
	Claims map[string][]string
}

// ParseSender reads "frontend", "service:frontend", "gateway:public", "identity:spiffe://…" or "outside".
func ParseSender(text string) (Sender, error) {
	kind, name, ok := strings.Cut(text, ":")
	switch {
	case text == string(Outside):
		return Sender{Kind: Outside}, nil
	case kind == string(ir.KindIdentity):
		if _, err := spiffeid.FromString(name); err != nil {
			return Sender{}, fmt.Errorf("%q is not a valid SPIFFE ID", name)
		}
		return Sender{ir.KindIdentity, name}, nil
	case !ok && text != "":
		return Sender{ir.KindService, text}, nil
	case (kind == string(ir.KindService) || kind == string(ir.KindGateway)) && name != "":
		return Sender{ir.MemberKind(kind), name}, nil
	}
	return Sender{}, fmt.Errorf(
		"%q is not a valid sender: NAME of a service, gateway:NAME, identity:SPIFFE-ID or outside", text)
}

// ParseURL sets where the request goes.
func (r *Request) ParseURL(text string) error {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "http", text
	}
	if r.Scheme = strings.ToLower(scheme); !slices.Contains([]string{"http", "https", tcp, udp}, r.Scheme) {
		return fmt.Errorf("%q is not a valid URL of http, https, tcp or udp", text)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	if r.Path = rest[end:]; r.Path == "" || r.Path[0] != '/' {
		r.Path = "/" + r.Path
	}
	r.Path, _, _ = strings.Cut(r.Path, "#") // which clients keep to themselves
	u, err := url.Parse("http://" + authority)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q has no host", text)
	}
	r.Host = u.Hostname()
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is not a valid port", port)
		}
		r.Port = uint16(n)
	}
	if (r.Scheme == tcp || r.Scheme == udp) && (r.Port == 0 || end < len(rest)) {
		return fmt.Errorf("%q is not a valid address: write %s://HOST:PORT", text, r.Scheme)
	}
	return nil
}

// AddHeader adds a header that is written as curl takes it: "NAME: VALUE".
func (r *Request) AddHeader(text string) error {
	name, value, ok := strings.Cut(text, ":")
	name = strings.ToLower(strings.TrimSpace(name))
	if !ok || name == "" {
		return fmt.Errorf("%q is not a valid header: write NAME: VALUE", text)
	}
	value = strings.TrimSpace(value)
	if name == "host" {
		if r.ServerName == "" {
			r.ServerName = r.Host
		}
		r.Host, r.Authority = withoutPort(value), value
		return nil
	}
	r.Headers = append(r.Headers, ir.Header{Name: name, Value: value})
	return nil
}

// HostHeader is the header host as it is sent.
func (r *Request) HostHeader() string {
	switch host := r.Host; {
	case r.Authority != "":
		return r.Authority
	case r.Port == 0 || r.Port == ownPort(r.Scheme):
		return host
	default:
		return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(int(r.Port)))
	}
}

// named has a request that names no port go to that one.
func (r *Request) named(port uint16) { r.Authority, r.Port = r.HostHeader(), port }

// withoutPort is the host of a header host.
func withoutPort(authority string) string {
	if address, _, ok := strings.Cut(authority, "]"); ok {
		return address + "]"
	}
	host, _, _ := strings.Cut(authority, ":")
	return host
}

// withoutDot is the header host without the dot that ends its host, or all of it (strip_trailing_host_dot).
func withoutDot(authority string) string {
	if i := strings.LastIndexByte(authority, '.'); i >= 0 && (i == len(authority)-1 || authority[i+1] == ':') {
		return authority[:i] + authority[i+1:]
	}
	return authority
}

// serverName is the name in the handshake.
func (r *Request) serverName() string { return cmp.Or(r.ServerName, r.Host) }

// now is when it is sent.
func (r *Request) now() time.Time {
	if r.At.IsZero() {
		return time.Now()
	}
	return r.At
}

// port is the number of the port that it goes to.
func (r *Request) port() uint16 { return cmp.Or(r.Port, ownPort(r.Scheme)) }

// ownPort is the port of a scheme that its addresses need not name.
func ownPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// header are the values of a header; nil when it is not there.
func header(list []ir.Header, name string) []string {
	var values []string
	for _, h := range list {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return values
}

// check refuses what is not a request.
func (r *Request) check() error {
	if !httpguts.ValidHeaderFieldName(r.Method) { // a token, as names of headers are (RFC 9110, section 9.1)
		return fmt.Errorf("%q is not a valid method", r.Method)
	}
	if slices.ContainsFunc(r.Headers, func(h ir.Header) bool { return strings.HasPrefix(h.Name, ":") }) {
		return errors.New("a header name does not begin with a colon")
	}
	return nil
}
