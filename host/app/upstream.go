package app

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Upstream is a port of a service that the application may call.
type Upstream struct {
	// Service and Port are its names.
	Service, Port string
	// Number is what callers write behind the host.
	Number uint16
	// Protocol is what the upstream speaks: that of a [Port]. An "https" upstream
	// is called in plain HTTP, since the proxy adds the TLS.
	Protocol string
	// Hosts are the names that it is called by, the first in requests; "*.DOMAIN" for all below a domain.
	Hosts []string
	// Address is where the application's own proxy takes connections for it,
	// IP:PORT.
	Address string
}

// ParseUpstream reads SERVICE.PORT=PROTOCOL:ADDRESS, as in
// "cart.http=http:127.0.0.1:9101".
func ParseUpstream(s string) (Upstream, error) {
	name, at, ok1 := strings.Cut(s, "=")
	protocol, address, ok2 := strings.Cut(at, ":")
	service, port, ok3 := strings.Cut(name, ".")
	if !ok1 || !ok2 || !ok3 {
		return Upstream{}, fmt.Errorf("upstream %q: want SERVICE.PORT=PROTOCOL:ADDRESS", s)
	}
	number, err := portOf(address)
	if err != nil {
		return Upstream{}, fmt.Errorf("upstream %q: %w", s, err)
	}
	return Upstream{service, port, number, protocol, []string{service}, address}, nil
}

// ParsePort reads NAME=PROTOCOL:ADDRESS, as in "http=http:127.0.0.1:8080".
func ParsePort(s string) (Port, error) {
	name, at, ok1 := strings.Cut(s, "=")
	protocol, address, ok2 := strings.Cut(at, ":")
	if !ok1 || !ok2 {
		return Port{}, fmt.Errorf("port %q: want NAME=PROTOCOL:ADDRESS", s)
	}
	if _, err := portOf(address); err != nil {
		return Port{}, fmt.Errorf("port %q: %w", s, err)
	}
	return Port{name, protocol, address}, nil
}

func portOf(address string) (uint16, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return uint16(n), err
}

// authority is what a request names: host and port.
func (u *Upstream) authority() string {
	return net.JoinHostPort(strings.Replace(u.Hosts[0], "*", "some", 1), strconv.Itoa(int(u.Number)))
}

// upstreams finds one by its name or by the address that a request names.
type upstreams struct {
	byName      map[string][]Upstream
	byAuthority map[string]Upstream
}

func index(list []Upstream) upstreams {
	u := upstreams{map[string][]Upstream{}, map[string]Upstream{}}
	list = slices.Clone(list)
	// What answers requests comes before what only takes bytes.
	slices.SortFunc(list, func(a, b Upstream) int {
		return cmp.Or(cmp.Compare(rank(a.Protocol), rank(b.Protocol)), cmp.Compare(a.Port, b.Port))
	})
	for _, up := range list {
		u.byName[up.Service] = append(u.byName[up.Service], up)
		for _, host := range up.Hosts {
			u.byAuthority[net.JoinHostPort(host, strconv.Itoa(int(up.Number)))] = up
		}
	}
	return u
}

func rank(protocol string) int {
	if protocol == "tcp" || protocol == "tls" {
		return 1
	}
	return 0
}

// named is the upstream of a step: NAME or NAME.PORT.
func (u upstreams) named(s string) (Upstream, error) {
	if list := u.byName[s]; len(list) > 0 {
		return list[0], nil
	}
	if i := strings.LastIndexByte(s, '.'); i > 0 {
		for _, up := range u.byName[s[:i]] {
			if up.Port == s[i+1:] {
				return up, nil
			}
		}
	}
	return Upstream{}, fmt.Errorf("%q is not among the upstreams", s)
}

// lookUp is the upstream at HOST:PORT.
func (u upstreams) lookUp(authority string) (Upstream, error) {
	authority = strings.ToLower(authority)
	if up, ok := u.byAuthority[authority]; ok {
		return up, nil
	}
	for rest := authority; ; {
		_, below, more := strings.Cut(rest, ".")
		if !more {
			break
		}
		if up, ok := u.byAuthority["*."+below]; ok {
			return up, nil
		}
		rest = below
	}
	return Upstream{}, fmt.Errorf("%s is not among the upstreams", authority)
}
