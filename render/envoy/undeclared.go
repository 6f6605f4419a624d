package envoy

import (
	"fmt"
	"net/http"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/source"
)

// undeclaredHeader is in answers of a proxy that an application could take for the callee's own. Its value says why:
// [undeclaredHost], for a host that the member does not use, or [wholeServer].
const (
	undeclaredHeader = "x-meshc-refused"
	undeclaredHost   = series.UndeclaredRoute
)

// undeclared answers requests for hosts that the member does not use on a port number: with 502, since an application
// would take a 404 for the callee's own answer, and with what is to be done. Or it lets them pass. The call is one on
// that number.
func (b *builder) undeclared(number uint16, c call) *routev3.VirtualHost {
	if b.scope.PassesUndeclared() {
		return b.passedHost(b.scope.UpgradesOn(c.use, c.port.Name, number))
	}
	body := fmt.Sprintf("meshc: %s uses no service or external of this host on port %d; add it to uses of %s\n",
		b.member.Name, number, b.member.Name)
	host := answering(undeclaredHost, []string{"*"}, b.scope.Pos(), &ir.DirectResponse{
		Status: http.StatusBadGateway,
		Body:   body,
	})
	host.Routes[0].ResponseHeadersToAdd = []*corev3.HeaderValueOption{overwriting(undeclaredHeader, undeclaredHost)}
	return host
}

// answering gives all requests for hosts one answer.
func answering(name string, hosts []string, pos source.Position, answer *ir.DirectResponse) *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: name, Domains: hosts, Metadata: positionMetadata(pos), Routes: []*routev3.Route{{
		Name: name, Match: pathMatch(ir.PathMatch{}), Metadata: positionMetadata(pos),
		Action: &routev3.Route_DirectResponse{DirectResponse: directResponse(answer)},
	}}}
}
