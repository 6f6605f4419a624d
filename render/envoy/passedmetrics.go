package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"

	"github.com/meshc/meshc/compiler/series"
)

// passedTo counts what passes undeclared by the address that it was made to and by the name that the application gave:
// that of the handshake, or the host of a request. An application chooses both, so few series are kept, and a name that
// is longer than DNS has is cut.
func (b *builder) passedTo(what, name string, filter *accesslogv3.AccessLogFilter) *accesslogv3.AccessLog {
	return b.statsLog(&statsv3.Config{
		StatsScope: statsScope(series.MaxUndeclared),
		Counters: []*statsv3.Config_Counter{one(what, []*statsv3.Config_Tag{
			tag("caller", b.member.Identity.String()), tag("server.name", name),
			tag("server.address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
		})},
	}, filter)
}

// passedRequests counts requests that pass.
func (b *builder) passedRequests() *accesslogv3.AccessLog {
	return b.passedTo(series.UndeclaredHTTP+".requests", "%REQ(:AUTHORITY):253%",
		b.expression("xds.route_name == '"+undeclaredHost+"'"))
}

// passedConnections counts connections that pass, as soon as somebody has accepted them: one of a pool of connections
// lasts for days. The other loggers of their filter are for their ends.
func (b *builder) passedConnections(others []*accesslogv3.AccessLog) []*accesslogv3.AccessLog {
	for _, log := range others {
		ends := ofType(datav3.AccessLogType_TcpConnectionEnd)
		if log.Filter != nil {
			ends = everyFilter(ends, log.Filter)
		}
		log.Filter = ends
	}
	return append(others, b.passedTo(series.UndeclaredTCP+".connections", "%REQUESTED_SERVER_NAME%",
		ofType(datav3.AccessLogType_TcpUpstreamConnected)))
}

// ofType passes entries that are made at that moment of a connection.
func ofType(moment datav3.AccessLogType) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_LogTypeFilter{
		LogTypeFilter: &accesslogv3.LogTypeFilter{Types: []datav3.AccessLogType{moment}},
	}}
}
