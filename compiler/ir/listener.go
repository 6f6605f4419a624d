package ir

import (
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// Listener is where a gateway takes connections.
type Listener struct {
	Name string `json:"name"`
	// Port may be shared by listeners that are told apart by SNI.
	Port uint16 `json:"port"`
	// Protocol is HTTP, TCP or TLS: the clients' own, passed through.
	Protocol Protocol `json:"protocol"`
	// Hosts are exact, "*.DOMAIN" or "*", lower case. At least one.
	Hosts []string `json:"hosts"`
	// TLS is ended here; nil for none.
	TLS *ListenerTLS `json:"tls,omitempty"`
	// HTTP3 is taken on the UDP port too.
	HTTP3 bool `json:"http3,omitempty"`
	// Clients is how the listener learns where they are.
	Clients ClientIPDetection `json:"clientIPDetection,omitzero"`
	// RedirectTo is the name of the listener that requests are redirected to.
	RedirectTo string `json:"redirectTo,omitempty"`
	// To is where connections below HTTP go, with its port; nil for HTTP.
	To  *Destination    `json:"to,omitempty"`
	Pos source.Position `json:"pos,omitzero"`
}

// Door is the listener as rules know it: a port of its name.
func (l *Listener) Door() *Port {
	return &Port{Name: l.Name, Number: l.Port, Target: l.Port, Protocol: l.Protocol, Pos: l.Pos}
}

// Doors are the listeners at which rules hold.
func (g *Gateway) Doors() []Port {
	var out []Port
	for i := range g.Listeners {
		if l := &g.Listeners[i]; l.RedirectTo == "" {
			out = append(out, *l.Door())
		}
	}
	return out
}

// Ruled reports whether the gateway has rules.
func (g *Gateway) Ruled() bool { return len(g.Allow)+len(g.Deny) > 0 || g.Closed }

// AsksAll reports whether a listener that serves requests asks something of those too that no route takes.
func (g *Gateway) AsksAll() bool { return g.Ruled() || len(g.RateLimits) > 0 }

// BySNI reports whether the listener knows the name in the handshake.
func (l *Listener) BySNI() bool { return l.TLS != nil || l.Protocol == TLS }

// ListenerOf is the listener of a TLS port that a host belongs to, or every host of a pattern such as "*.DOMAIN": the
// one with the most specific host that covers it; nil for none. The name in a handshake chooses by it, and a request
// for a host of another listener than its connection's is misdirected (RFC 9110, 15.5.20): listeners may ask for
// different certificates.
func (g *Gateway) ListenerOf(port uint16, host string) *Listener {
	var best *Listener
	rank := -1
	for i := range g.Listeners {
		l := &g.Listeners[i]
		if l.Port != port || !l.BySNI() {
			continue
		}
		for _, h := range l.Hosts {
			if n := Specific(h); HostCovers(h, host) && n > rank {
				best, rank = l, n
			}
		}
	}
	return best
}

// Elsewhere are the hosts of the other listeners on the port of a TLS listener, to which requests on its connections
// are misdirected; none for a listener without TLS, which has its port to itself.
func (g *Gateway) Elsewhere(l *Listener) []string {
	var out []string
	for i := range g.Listeners {
		other := &g.Listeners[i]
		if l.BySNI() && other != l && other.BySNI() && other.Port == l.Port {
			out = append(out, other.Hosts...)
		}
	}
	return out
}

// Chains are how many filter chains Envoy has for the listener: of connections by the proxies in front and by others,
// over TCP and over UDP.
func (l *Listener) Chains() int {
	n := 1
	if len(l.Clients.TrustedCIDRs) > 0 && !l.Clients.ProxyProtocol {
		n = 2
	}
	if l.HTTP3 {
		n *= 2
	}
	return n
}

// ListenerTLS is how a gateway ends TLS.
type ListenerTLS struct {
	// Secret is the directory of the certificate in Proxy.SecretDirectory.
	Secret string `json:"secret"`
	// MinVersion is "1.2" or "1.3".
	MinVersion string `json:"minVersion"`
	// ClientRoots is the secret with the roots of clients' certificates; empty
	// when none is asked for. ClientOptional lets clients in without one.
	ClientRoots    string `json:"clientRoots,omitempty"`
	ClientOptional bool   `json:"clientOptional,omitempty"`
}

// Compression of answers.
type Compression struct {
	// Algorithms are "brotli", "gzip" and "zstd", the best liked first.
	Algorithms   []string `json:"algorithms"`
	MinBytes     uint32   `json:"minBytes"`
	ContentTypes []string `json:"contentTypes,omitempty"`
}

// Secrets are the names of all that the gateway's listeners want, and then its clients, each once, in
// their order.
func (g *Gateway) Secrets() []string {
	var out []string
	known := map[string]bool{"": true}
	add := func(name string) {
		if !known[name] {
			known[name] = true
			out = append(out, name)
		}
	}
	for i := range g.Listeners {
		if t := g.Listeners[i].TLS; t != nil {
			add(t.Secret)
			add(t.ClientRoots)
		}
	}
	for i := range g.Clients {
		for _, s := range slices.Concat(g.Clients[i].APIKeys, g.Clients[i].Passwords) {
			add(s.Secret)
		}
	}
	return out
}

// Listener is the listener of that name, or nil.
func (g *Gateway) Listener(name string) *Listener {
	for i := range g.Listeners {
		if g.Listeners[i].Name == name {
			return &g.Listeners[i]
		}
	}
	return nil
}
