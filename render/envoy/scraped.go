package envoy

import (
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// scraped are the routes by which the scraper reads metrics of the application: GET /PORT and their path, each at its
// own address, so that nothing else of the application can be asked for.
func (b *builder) scraped() (out []*routev3.Route) {
	if b.scope.Service == nil {
		return nil
	}
	for i := range b.scope.Service.Scrape {
		s := &b.scope.Service.Scrape[i]
		r := scrapeRoute(s.At(), &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: b.scrapedCluster(s)}, PrefixRewrite: s.Path,
		})
		r.Metadata = positionMetadata(s.Pos)
		out = append(out, r)
	}
	return out
}

// scrapedCluster adds the cluster of the application that has those metrics, and returns its name.
func (b *builder) scrapedCluster(s *ir.Scrape) string {
	name, number := join("scrape", strconv.Itoa(int(s.Port))), s.Port
	if b.clusters[name] {
		return name
	}
	b.clusters[name] = true
	var http2 *corev3.Http2ProtocolOptions
	if port := b.scope.Service.PortTo(s.Port); port != nil {
		number, http2 = b.target(port), http2Where(port)
	}
	c := b.cluster(name, s.Pos)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = single(name, address(b.loopback, number))
	c.CircuitBreakers = fewScrapes()
	b.httpOptions(c, http2, b.scope.Service.LastHop.IdleTimeout, &httpv3.HttpProtocolOptions{})
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}
