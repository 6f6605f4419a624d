package local

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/review/diff"
)

// broadcast is the one loopback address that no connection comes from: Linux takes another in its place.
var broadcast = netip.MustParseAddr("127.255.255.255")

// goesPast reports whether a request is one that [revisions.reaches] can send: of bytes, or of somebody on this
// machine who comes past proxies.
func goesPast(m *ir.Mesh, r *try.Request) bool {
	s := m.Service(r.Host)
	if s == nil || !r.IP.IsLoopback() || !r.IP.Is4() || r.Port == trytest.Requests && !isURL(r.Path) {
		return false
	}
	if r.IP == broadcast {
		return false
	}
	switch r.From.Kind {
	case ir.KindIdentity, try.Outside:
		return true
	case ir.KindService:
		for _, u := range m.Service(r.From.Name).Uses {
			if u.To == r.Host && r.Port != trytest.Requests && r.IP == trytest.Loopback {
				return len(u.Ports) == len(s.Ports)
			}
		}
	}
	return false
}

// isSender reports whether a sender of an effect is the sender of a request. What an effect says of others than
// members is about all whom no rule tells apart.
func isSender(from diff.Subject, s try.Sender) bool {
	if s.Kind != ir.KindIdentity {
		return from.String() == s.String()
	}
	account := s.Name[strings.LastIndex(s.Name, "/")+1:]
	return from.Member == ir.ServiceRef(account) || from.Member == ir.GatewayRef(account) ||
		s.Name == trytest.Stranger && strings.HasPrefix(from.Other, "others, as ")
}

// reaches wants requests to reach the application when a version lets them in, and else not.
func (v *revisions) reaches(when string, m *ir.Mesh, requests []*try.Request) {
	v.Helper()
	for _, r := range requests {
		want := v.letsIn(m, r)
		for begun := time.Now(); ; {
			got, err := v.arrives(r)
			if got == want {
				break
			}
			if time.Since(begun) > workersTime {
				v.Errorf("%s: %s reaches %s: %v (%v)", when, r.Command(), r.Host, got, err)
				break
			}
		}
	}
}

// arrives sends a request and reports whether the application answers; else err is what came instead.
func (v *revisions) arrives(r *try.Request) (bool, error) {
	conn, err := v.past(r)
	if err != nil {
		return false, v.closed(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		v.Fatal(err)
	}
	if r.Port != trytest.Requests {
		if _, err := io.WriteString(conn, "hello\n"); err != nil {
			return false, v.closed(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		return strings.HasPrefix(line, r.Host+" "), v.closed(err)
	}
	if _, err := io.WriteString(conn, v.raw(r)); err != nil {
		return false, v.closed(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if err != nil {
		return false, v.closed(err)
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK, fmt.Errorf("%s", response.Status)
}

// closed is an error of a connection that the other side has closed; one that it has left open is a fault.
func (v *revisions) closed(err error) error {
	v.Helper()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		v.Error("a connection is neither answered nor closed")
	}
	return err
}

// past is a connection to the port of a service: by the proxy of a service that calls it, or from outside, as whom the
// request says.
func (v *revisions) past(r *try.Request) (net.Conn, error) {
	if r.From.Kind == ir.KindService {
		return v.mesh.As(r.From.Name).Dial(v.Context(), fmt.Sprintf("%s:%d", r.Host, r.Port))
	}
	port := "http"
	if r.Port != trytest.Requests {
		port = "tcp"
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: r.IP.AsSlice()}, Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(v.Context(), "tcp", inbound(v.mesh, r.Host, port))
	if err != nil || r.From.Kind == try.Outside {
		return conn, err
	}
	id, err := spiffeid.FromString(r.From.Name)
	if err != nil {
		v.Fatal(err)
	}
	config, err := v.mesh.clientTLS(id, v.mesh.Placed().Service(r.Host))
	if err != nil {
		v.Fatal(err)
	}
	return tls.Client(conn, config), nil
}
