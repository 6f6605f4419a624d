package try

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

const forwardedFor = "x-forwarded-for"

// address is the one that rules of a service on a port see of the request, and what to call it; the zero value when it is
// not known. See [ir.Mesh.ClientGateways].
func (r *run) address(port *ir.Port, q *message) (netip.Addr, string) {
	byGateway := r.request.From.Kind == ir.KindGateway
	switch {
	case byGateway && !port.Protocol.IsHTTP():
		return netip.Addr{}, "the address of the gateway " + r.me.Name
	case r.me.Kind == ir.KindGateway && port.Protocol.IsHTTP() && len(r.mesh.Gateway(r.me.Name).Listeners) > 0:
		if ip := lastAddress(q.headers); ip.IsValid() {
			return ip, ""
		}
	}
	return r.request.IP, "the address that it comes from (--ip)"
}

// lastAddress is the last one in x-forwarded-for, as Envoy reads it; the zero value when there is none.
func lastAddress(headers []ir.Header) netip.Addr {
	list := strings.Split(strings.Join(header(headers, forwardedFor), ","), ",")
	text := strings.TrimSpace(list[len(list)-1])
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Unmap()
	}
	at, _ := netip.ParseAddrPort(text)
	return at.Addr().Unmap()
}

// fromClient are the headers of a request from outside once a gateway has said in them who the client is.
func (r *run) fromClient(headers []ir.Header) []ir.Header {
	out := slices.DeleteFunc(slices.Clone(headers), func(h ir.Header) bool { return h.Name == forwardedFor })
	if r.request.IP.IsValid() {
		out = append(out, ir.Header{Name: forwardedFor, Value: r.request.IP.String()})
	}
	return out
}
