package envoy

import (
	"strconv"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
)

// How Envoy begins the reason for which TLS ended a connection: with BoringSSL's number of the error. Those of its
// library SSL are from 268435456 on, and others are of the operating system, as where a connection is reset. There is
// no reason for a connection that ended before its handshake did.
const (
	tlsError         = "TLS_error:|26843"
	wrongVersion     = tlsError + "5703" // WRONG_VERSION_NUMBER: bytes that are not a record of TLS
	httpRequest      = tlsError + "5612" // HTTP_REQUEST
	certificateError = tlsError + "5581" // CERTIFICATE_VERIFY_FAILED
	noCertificate    = tlsError + "5648" // PEER_DID_NOT_RETURN_A_CERTIFICATE
)

// refused counts the connections to ports of the service that its listener ends before any rule is asked, as failures
// without a caller: a certificate that is refused may name anybody. The port says at which one, in a listener for all.
func (b *builder) refused(ports int, port *statsv3.Config_Tag) []*accesslogv3.AccessLog {
	return []*accesslogv3.AccessLog{
		b.refusals(series.Handshakes*ports, port, b.mapped("error.type", "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%", map[string]string{
			tlsError: ir.RefusedHandshake, wrongVersion: ir.RefusedPlaintext, httpRequest: ir.RefusedPlaintext,
			certificateError: ir.RefusedCertificate, noCertificate: ir.RefusedCertificate,
		}, notCounted()), nil),
		b.refusals(ports, port, tag("error.type", ir.DeniedBelowHTTP), anyFilter(withFlags("NR"), b.expression(
			"xds.filter_chain_name.endsWith('"+closedName("")+"') || xds.filter_chain_name == '"+inboundListener+"'"))),
	}
}

// refusals count what passes the filter as a failure of that cause, in so many series at most.
func (b *builder) refusals(most int, port, cause *statsv3.Config_Tag,
	filter *accesslogv3.AccessLogFilter,
) *accesslogv3.AccessLog {
	return b.statsLog(&statsv3.Config{
		StatsScope: statsScope(uint32(most)), // #nosec G115 -- of some dozens
		Counters: []*statsv3.Config_Counter{one(serverTCP+".failures", []*statsv3.Config_Tag{
			tag("callee", calleeOf(&b.scope.Service.Upstream)), port, cause,
		})},
	}, filter)
}

// refusedAt counts them at the listener of one port.
func (b *builder) refusedAt(port *ir.Port) []*accesslogv3.AccessLog {
	return b.refused(1, tag("server.port", portLabel(port)))
}

// refusedBehind counts them at the listener that all connections to the service are redirected to.
func (b *builder) refusedBehind(ports []ir.Port) []*accesslogv3.AccessLog {
	if len(ports) == 0 {
		return nil
	}
	numbers := map[string]string{}
	for i := range ports {
		numbers[strconv.Itoa(int(ports[i].Target))] = portLabel(&ports[i])
	}
	return b.refused(len(ports), b.exactly("server.port", "%DOWNSTREAM_LOCAL_PORT%", numbers))
}

// refusedProbes counts the requests without TLS to a port that are not its probes, which alone need none.
func (b *builder) refusedProbes(port *ir.Port, others string) []*accesslogv3.AccessLog {
	return []*accesslogv3.AccessLog{b.refusals(1, tag("server.port", portLabel(port)),
		tag("error.type", ir.RefusedPlaintext), b.expression("xds.route_name == '"+others+"'"))}
}
