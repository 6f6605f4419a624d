package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/ir"
)

const stdoutLogger = "envoy.access_loggers.stdout"

// auditLog has a line on standard output for each request, or each connection below
// HTTP, that a rule with mode "audit" matches: who, what, and which rule. Queries are
// left out, as they hold what nobody should read in a log.
func (b *builder) auditLog(port *ir.Port, filter string) []*accesslogv3.AccessLog {
	var out []*accesslogv3.AccessLog
	for _, kind := range []struct {
		action          rbacconfigv3.RBAC_Action
		prefix, verdict string
		list            string
	}{{rbacconfigv3.RBAC_ALLOW, auditAllow, "allowed", "allow"}, {
		rbacconfigv3.RBAC_DENY, auditDeny, "denied",
		"deny",
	}} {
		if b.audited(kind.action, port) == nil {
			continue
		}
		out = append(out, &accesslogv3.AccessLog{
			Name:   stdoutLogger,
			Filter: withMetadata(filter, kind.prefix+"shadow_engine_result", kind.verdict),
			ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: b.any(&streamv3.StdoutAccessLog{
				AccessLogFormat: &streamv3.StdoutAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
					Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: b.auditLine(kind.list, port, filter,
						kind.prefix)},
				}},
			})},
		})
	}
	return out
}

func (b *builder) auditLine(list string, port *ir.Port, filter, prefix string) *structpb.Struct {
	line := map[string]string{
		"time": "%START_TIME%", "audit": list, string(b.scope.Kind()): b.member.Name, "port": port.Name,
		"rule":   "%DYNAMIC_METADATA(" + filter + ":" + prefix + "shadow_effective_policy_id)%",
		"caller": "%DOWNSTREAM_PEER_URI_SAN%", "from": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
	}
	if port.Protocol.IsHTTP() {
		line["method"], line["path"], line["status"] = "%REQ(:METHOD)%", "%PATH(NQ:PATH)%", "%RESPONSE_CODE%"
		line["request"] = "%REQ(X-REQUEST-ID)%"
	}
	out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for name, format := range line {
		out.Fields[name] = structpb.NewStringValue(format)
	}
	return out
}
