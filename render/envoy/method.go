package envoy

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// smallLetters is a method with a letter that is not a capital. Rules and routes compare methods as they are written
// (RFC 9110, section 9.1); some applications read "get" as GET, which no rule about GET would have seen.
var smallLetters = ir.StringMatch{Name: ":method", Kind: ir.MatchRegex, Value: `.*[a-z].*`}

// takeAnyMethod has a connection manager accept methods that no standard names, over HTTP/1.1 as over HTTP/2.
func takeAnyMethod(m *hcmv3.HttpConnectionManager) { m.HttpProtocolOptions.AllowCustomMethods = true }
