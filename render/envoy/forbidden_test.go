package envoy

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// TestForbiddenAddresses: the expression matches exactly the addresses of the networks, in
// the text that Envoy makes of an address and a port.
func TestForbiddenAddresses(t *testing.T) {
	// near is an address that is forbidden by a network, or that differs in a bit; the other bits are often 0.
	near := func(f ir.ForbiddenNetwork) netip.Addr {
		bytes := f.Addr().AsSlice()
		fixed := make([]byte, len(bytes))
		for i := range f.Bits() {
			fixed[i/8] |= 0x80 >> (i % 8)
		}
		if f.Mask != 0 {
			binary.BigEndian.PutUint64(bytes[8:], f.Low)
			binary.BigEndian.PutUint64(fixed[8:], f.Mask)
		}
		zeros := rand.IntN(3)
		for i := range bytes {
			if rand.IntN(3) >= zeros {
				bytes[i] |= byte(rand.Uint32()) & ^fixed[i]
			}
		}
		if rand.IntN(2) == 0 {
			flip := rand.IntN(len(bytes) * 8)
			bytes[flip/8] ^= 0x80 >> (flip % 8)
		}
		ip, _ := netip.AddrFromSlice(bytes)
		return ip
	}
	for _, local := range []bool{false, true} {
		var expressions []*regexp.Regexp
		for _, e := range forbiddenAddresses(local) {
			expressions = append(expressions, regexp.MustCompile(e))
		}
		seen := map[bool]int{}
		for range 1000 {
			for _, f := range ir.ForbiddenNetworks(false) {
				ip := near(f)
				if ip.Is4() && rand.IntN(4) == 0 {
					ip = netip.AddrFrom16(ip.As16()) // IPv4 in IPv6
				}
				text := netip.AddrPortFrom(ip, 15000).String()
				want := slices.ContainsFunc(ir.ForbiddenNetworks(local), func(f ir.ForbiddenNetwork) bool {
					return f.Contains(ip.Unmap())
				})
				seen[want]++
				if got := slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool {
					return e.MatchString(text)
				}); got != want {
					t.Fatalf("local %t: %s: %t", local, text, got)
				}
			}
		}
		if seen[true] == 0 || seen[false] == 0 {
			t.Errorf("only one sort was tried: %v", seen)
		}
	}
}

// TestNamesLeadNowhereForbidden: whatever a name server answers, and whenever, nothing that is sent gets to an address
// that no proxy may be led to: by HTTP, as bytes, straight and through an egress gateway. Loopback is reached where
// that is meant.
func TestNamesLeadNowhereForbidden(t *testing.T) {
	o := newOutside(t)
	for name := range o.bind {
		if strings.HasSuffix(name, "-local") {
			eventually(t, name+" is reached", func() error {
				if said, err := o.get(name); !strings.HasSuffix(said, "web") {
					return fmt.Errorf("%q, %v", said, err)
				}
				return nil
			})
			continue
		}
		before := o.reached.get()
		eventually(t, name+" is looked up and refused", func() error {
			return refused(name, o.get)
		})
		if o.reached.get() > before {
			t.Errorf("%s: something was reached on loopback", name)
		}
	}
	o.firstFlight(t, "tcp-via-remote", false)
	o.firstFlight(t, "tcp-via-local", true)

	// 0.0.0.0 leads to loopback too, and is meant nowhere.
	for name := range o.bind {
		o.names.say(name+".example", "0.0.0.0")
	}
	for name := range o.bind {
		eventually(t, name+" is refused after its answer changed", func() error {
			return refused(name, o.get)
		})
		before := o.reached.get()
		for range 2 {
			if err := refused(name, o.get); err != nil {
				t.Errorf("%s: refused, and then not: %v", name, err)
			}
		}
		if o.reached.get() > before {
			t.Errorf("%s: something was reached at 0.0.0.0", name)
		}
	}
	o.firstFlight(t, "tcp-via-local", false)

	// So do IPv6 addresses that stand for one of IPv4. There may be no way to those from here.
	standing := []string{
		"64:ff9b::7f00:1", "64:ff9b:1:2::1", "2002:7f00:1::1", "2001:0:1::80ff:fffe", "2001:db8::5efe:a9fe:a9fe",
	}
	http := slices.DeleteFunc(slices.Sorted(maps.Keys(o.bind)), func(name string) bool {
		return strings.HasPrefix(name, "t") // tcp, tls
	})
	for i, name := range http {
		o.names.say(name+".example", standing[i%len(standing)])
	}
	for i, name := range http {
		eventually(t, name+" is refused at "+standing[i%len(standing)], func() error { return refused(name, o.get) })
	}
}

// refused wants an answer to be that of a proxy that refuses, and not one of there being no address.
func refused(name string, get func(string) (string, error)) error {
	said, err := get(name)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(name, "tcp") || strings.HasPrefix(name, "tls"):
		if said != "" {
			return fmt.Errorf("%q", said)
		}
	case said != "403 RBAC: access denied":
		return fmt.Errorf("%q", said)
	}
	return nil
}

// firstFlight sends bytes to the gateway together with the end of the handshake, so that they are there before the
// gateway has connected to anything.
func (o *outside) firstFlight(t *testing.T, name string, reaches bool) {
	t.Helper()
	raw, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", o.gateway.Egress.Port))
	if err != nil {
		t.Fatal(err)
	}
	held := &heldConn{Conn: raw}
	conn := tls.Client(held, &tls.Config{
		Certificates: []tls.Certificate{o.authority.leaf(t, identity("client").String())},
		ServerName:   "p." + name + ".egress", InsecureSkipVerify: true,
	})
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	before := o.reached.get()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := held.flush(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if got := strings.HasPrefix(line, "HTTP/1.1 200"); got != reaches || got != (o.reached.get() > before) {
		t.Errorf("%s, in the first flight: %q, %v, and %d reached", name, line, err, o.reached.get()-before)
	}
}

// heldConn keeps what is written after the first record, until it is flushed.
type heldConn struct {
	net.Conn
	first   bool
	flushed bool
	held    []byte
}

func (c *heldConn) Write(p []byte) (int, error) {
	if !c.first || c.flushed {
		c.first = true
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

func (c *heldConn) flush() error {
	c.flushed = true
	n, err := c.Conn.Write(c.held)
	if err == nil && n < len(c.held) {
		err = errors.New("not all was written")
	}
	return err
}
