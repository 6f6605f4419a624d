package envoy

import (
	"strings"
	"unicode"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// What Envoy's filters of rules say of a connection that they closed: this, and in brackets the rule that denied it,
// "none" where no rule allows it. It sets no response flag then, and nothing else sets these details.
const ruledOut = "rbac_access_denied_matched_policy"

// isRuledOut is an expression that is true of such a connection, and has no value where there are no such details.
const isRuledOut = "connection.termination_details.startsWith('" + ruledOut + "')"

// countsConnections is [builder.counts] below HTTP. Connections that the rules deny are among the failures alone, as
// requests are.
func (b *builder) countsConnections(m measured) []*accesslogv3.AccessLog {
	edge := b.edgeTags(m)
	return []*accesslogv3.AccessLog{
		b.statsLog(&statsv3.Config{
			StatsScope: statsScope(b.room),
			Counters: []*statsv3.Config_Counter{
				one(m.kind+".connections", append(edge, b.decisionTags(m)...)),
				sum(m.kind+".received.bytes", "%BYTES_RECEIVED%", edge),
				sum(m.kind+".sent.bytes", "%BYTES_SENT%", edge),
			},
		}, b.handedOn(m)),
		b.statsLog(&statsv3.Config{
			StatsScope: statsScope(b.failures(m, nil)),
			Counters: []*statsv3.Config_Counter{
				one(m.kind+".failures", append(append(edge, b.denyingRule(m)...), tag("error.type", causeOfEnd))),
			},
		}, thatAlso(b.failedConnections(), b.shookHands(m))),
	}
}

// failedConnections passes connections with a response flag, and those that rules deny.
func (b *builder) failedConnections() *accesslogv3.AccessLogFilter {
	return anyFilter(withFlags(), b.expression(isRuledOut))
}

// causeOfEnd is why a connection failed: [ir.DeniedBelowHTTP], or the response flags in words.
const causeOfEnd = `%COALESCE({"operators": [{"command": "CEL", "param": "` + isRuledOut + ` ? '` + ir.DeniedBelowHTTP +
	`' : ''"}, "RESPONSE_FLAGS_LONG"]})%`

// shookHands passes connections whose handshake has succeeded: only then is one handed on. Nil where there is no
// handshake. A certificate that is refused may name anybody, so it must not be a caller: each name could make a series.
func (b *builder) shookHands(m measured) *accesslogv3.AccessLogFilter {
	if m.kind != serverTCP || m.caller != peerIdentity {
		return nil
	}
	return b.expression(handedOn)
}

const handedOn = "upstream.request_attempt_count > 0"

// handedOn passes connections that the callee's proxy has let in.
func (b *builder) handedOn(m measured) *accesslogv3.AccessLogFilter {
	if m.kind != serverTCP || m.caller != peerIdentity {
		return nil
	}
	return b.expression(handedOn + " && !has(connection.termination_details)")
}

// denyingRule is the rule that denied a connection, where there are rules; no value where it was none. Envoy tells its
// name with "_" for each blank.
func (b *builder) denyingRule(m measured) []*statsv3.Config_Tag {
	if m.ruled == nil {
		return nil
	}
	names := map[string]string{ruledOut + "[" + revokedPolicy: revokedPolicy}
	for name := range b.denied(m.ruled).GetPolicies() {
		told := strings.Map(func(r rune) rune {
			if r < unicode.MaxASCII && unicode.IsSpace(r) {
				return '_'
			}
			return r
		}, name)
		names[ruledOut+"["+told+"]"] = name
	}
	return []*statsv3.Config_Tag{b.mapped("rule", "%CONNECTION_TERMINATION_DETAILS%", names, become(""))}
}
