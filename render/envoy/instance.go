package envoy

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
)

// instances has the requests on a port number for single instances of callees go to the address that their connections
// were made to. What is below a callee's name and no instance is answered as all that is undeclared, and addresses that
// nobody knows are among the hosts of that.
func (b *builder) instances(number uint16, undeclared *routev3.VirtualHost) (hosts []*routev3.VirtualHost) {
	others := undeclared.Routes
	for _, n := range b.scope.Instances(number) {
		c := b.call(n.Use, n.Port.Name)
		routes := b.instanceRoutes(c, n.At)
		if n.Authority != "" {
			for _, r := range routes {
				r.Match.Headers = append(r.Match.Headers,
					headerMatch(ir.StringMatch{Name: ":authority", Kind: ir.MatchRegex, Value: n.Authority}))
			}
		}
		if n.Domains == nil {
			undeclared.Routes = append(routes, undeclared.Routes...)
			continue
		}
		if n.Authority != "" {
			for _, r := range others {
				routes = append(routes, proto.CloneOf(r))
			}
		}
		hosts = append(hosts, &routev3.VirtualHost{
			Name:    directName(join(b.label(c), c.port.Name), c.port, n.At),
			Domains: slices.Clone(n.Domains), Metadata: positionMetadata(n.Use.Pos), Routes: routes,
		})
	}
	return hosts
}

// instanceRoutes are those of requests for one instance, whose proxy is at that port.
func (b *builder) instanceRoutes(c call, at uint16) []*routev3.Route {
	to := []target{{cluster: b.directUpstream(c, at)}}
	routes := b.routesBy(c.callee, c.use, c.port, func(r *ir.Route) *ir.Route { return r.AtOne(c.callee.Name) })
	for _, r := range routes {
		if action := r.GetRoute(); action != nil {
			sendTo(action, to)
		}
	}
	return routes
}
