package try

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// forwardedProto is the header by which a gateway says by what scheme a request came.
const forwardedProto = "x-forwarded-proto"

// address is the one that rules of a service on a port see of the request, and what to call it; the zero value when it
// is not known. See [ir.Mesh.ClientGateways].
func (r *run) address(port *ir.Port, q *message) (netip.Addr, string) {
	byGateway := r.request.From.Kind == ir.KindGateway
	switch {
	case byGateway && !port.Protocol.IsHTTP():
		return netip.Addr{}, "the address of the gateway " + r.me.Name
	case r.me.Kind == ir.KindGateway && port.Protocol.IsHTTP() && len(r.mesh.Gateway(r.me.Name).Listeners) > 0:
		if ip, _ := lastAddress(q.headers, 0); ip.IsValid() {
			return ip, ""
		}
	}
	return r.request.IP, "the address that it comes from (--ip)"
}

// lastAddress is the last one in x-forwarded-for but for as many as are skipped, as Envoy reads it; the zero value
// when there is none. An entry with a port is none. Said is what stands there.
func lastAddress(headers []ir.Header, skipped int) (ip netip.Addr, said string) {
	list := strings.Split(strings.Join(header(headers, ir.ClientHeader), ","), ",")
	if len(list) <= skipped {
		return netip.Addr{}, ""
	}
	said = strings.TrimSpace(list[len(list)-1-skipped])
	ip, _ = netip.ParseAddr(said)
	return ip.Unmap(), said
}

// fromClient are the headers of a request from outside once a listener of a gateway has said in them where the client
// is and how it came.
func (r *run) fromClient(at string, l *ir.Listener, headers []ir.Header) []ir.Header {
	client, scheme := r.request.IP, r.request.Scheme
	dropped := append([]string{ir.ClientHeader}, ir.EdgeHeaders...)
	if hops := int(l.Clients.NumTrustedHops); hops > 0 && r.isProxy(l) {
		if ip, said := lastAddress(headers, hops-1); ip.IsValid() {
			client = ip
		} else if said != "" {
			r.step(at, l.Pos, "does not read %q in %s as an address, and takes that of the proxy in front", said,
				ir.ClientHeader)
		}
		if said := header(headers, forwardedProto); said != nil {
			scheme = strings.Join(said, ",")
		}
	} else {
		dropped = append(dropped, ir.ForeignProxyHeaders...)
	}
	dropped = append(dropped, forwardedProto)
	out := slices.DeleteFunc(slices.Clone(headers), func(h ir.Header) bool { return slices.Contains(dropped, h.Name) })
	r.settled = slices.Concat([]string{forwardedProto}, ir.EdgeHeaders, ir.ForeignProxyHeaders)
	r.client = client
	if client.IsValid() {
		r.settled = append(r.settled, ir.ClientHeader)
		out = append(out, ir.Header{Name: ir.ClientHeader, Value: client.String()})
	}
	return append(out, ir.Header{Name: forwardedProto, Value: scheme})
}

// isProxy reports whether the request comes from a proxy that the listener trusts.
func (r *run) isProxy(l *ir.Listener) bool {
	switch {
	case len(l.Clients.TrustedCIDRs) == 0 || l.Clients.ProxyProtocol: // others are not let in
		return true
	case r.request.IP.IsValid():
		return l.Clients.Trusts(r.request.IP)
	}
	on := "whether it comes from one of the proxies that the listener " + l.Name + " trusts (--ip)"
	asked := question{kind: OnAddress, key: on, on: on, alternatives: []string{"it does", "it does not"}}
	return r.choose(&asked) == asked.alternatives[0]
}

// scheme is by which the client came, as redirects have it: what a gateway says, or the application whose proxy this
// is.
func (r *run) scheme(q *message) string {
	if said := strings.ToLower(strings.Join(header(q.headers, forwardedProto), ",")); said == "http" ||
		said == "https" {
		return said
	}
	return r.request.Scheme
}
