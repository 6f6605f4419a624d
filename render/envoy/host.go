package envoy

import (
	"slices"

	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// httpHostFilter is the filter of [builder.wantsHost].
const httpHostFilter = httpRBACFilter + ".host"

// aHost is what the pseudo header ":authority" of a request for a host holds, when its
// port is stripped: a name or an address.
const aHost = `[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\]`

// wantsHost answers 400 to requests that name no host, or several: Envoy joins two headers "host" with a comma, and an
// application could take either (RFC 9112, section 3.2). The next proxy would refuse others, such as "a@b", as malformed.
func (b *builder) wantsHost(m *hcmv3.HttpConnectionManager) {
	host := ir.StringMatch{Name: ":authority", Kind: ir.MatchRegex, Value: aHost}
	filter := b.refuses(httpHostFilter, "no host", &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_NotRule{NotRule: header(host)}})
	m.HttpFilters = slices.Insert(m.HttpFilters, 1, filter) // behind that of paths
	other := headerMatch(host)
	other.InvertMatch, other.TreatMissingHeaderAsEmpty = true, true
	m.LocalReplyConfig.Mappers = append(m.LocalReplyConfig.Mappers, badRequest(other))
}
