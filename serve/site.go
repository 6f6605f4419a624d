package serve

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/meshc/meshc/serve/heard"
)

// ownSite refuses what a browser asks for another site: by a request of that site's page, or by a name of another site
// that leads here (DNS rebinding). Clients on loopback name the host by its address or as localhost, others by its
// address or by a name of it, as nobody makes an address lead elsewhere (linkerd2 9754: so that clients who know the
// address alone are let in).
func (s *Server) ownSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch host := hostOf(r.Host); {
		case fromLoopback(r) && r.TLS == nil && !isLoopback(host):
			answer(w, http.StatusForbidden, "on loopback this host is named localhost or by its address\n")
			return
		case !isAddress(host) && !isLoopback(host) && !s.hasName(host):
			answer(w, http.StatusForbidden, fmt.Sprintf("this server does not have the name %q: ask it by its address, "+
				"or start it with --name NAME\n", heard.Line(host, 255)))
			return
		case ofAnotherSite(r):
			answer(w, http.StatusForbidden, "a page of another site may not ask for this\n")
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// hasName reports whether the server is started with that name, or listens at it.
func (s *Server) hasName(host string) bool {
	return slices.ContainsFunc(s.config.names(), func(name string) bool { return strings.EqualFold(name, host) })
}

// names are those of the configuration: the given ones, and those in addresses to listen at.
func (c *Config) names() []string {
	out := slices.Clone(c.Names)
	for _, address := range []string{c.Listen, c.AdminListen, c.OperatorsListen} {
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
			out = append(out, host)
		}
	}
	return out
}

// hosts are the names and addresses that a certificate of the server has, each once.
func (c *Config) hosts() []string {
	out := slices.DeleteFunc(c.names(), func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.IsUnspecified()
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// hostOf is the host in a Host header, without a port and the dot behind it.
func hostOf(header string) string {
	if name, _, err := net.SplitHostPort(header); err == nil {
		header = name
	}
	return strings.TrimSuffix(strings.Trim(header, "[]"), ".")
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// fromLoopback reports whether both ends of the connection are on this host.
func fromLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	for _, text := range []string{local.String(), r.RemoteAddr} {
		at, err := netip.ParseAddrPort(text)
		if err != nil || !at.Addr().Unmap().IsLoopback() {
			return false
		}
	}
	return true
}

// isLoopback reports whether a host is this one.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	at, err := netip.ParseAddr(host)
	return err == nil && at.Unmap().IsLoopback()
}

// ofAnotherSite reports whether a browser says that another site's page asks (Fetch Metadata, Origin). That page may
// lead here: then the browser shows the live page and nothing of it to the other.
func ofAnotherSite(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}
