package envoy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	upstreamcodecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	exprv1alpha1 "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"github.com/meshc/meshc/compiler/ir"
)

// The filters that hold where a name has led against [ir.ForbiddenNetworks].
const (
	httpForbiddenFilter    = httpRBACFilter + ".forbidden"
	networkForbiddenFilter = networkRBACFilter + ".forbidden"
	upstreamCodecFilter    = "envoy.filters.http.upstream_codec"
)

// leadsAnywhere reports whether the proxy itself looks an external up by a name, so that
// whoever answers for the name says where it leads.
func (b *builder) leadsAnywhere(e *ir.External) bool {
	_, err := netip.ParseAddr(e.Hosts[0])
	return err != nil && len(e.Endpoints) == 0 && !b.scope.GoesVia(e)
}

// forbiddenRequests are the filters of a cluster, which see the address that was chosen for
// a request: it is answered with 403, and never sent, where no proxy may be led to that.
func (b *builder) forbiddenRequests(local bool) []*hcmv3.HttpFilter {
	return []*hcmv3.HttpFilter{
		b.httpFilter(httpForbiddenFilter, &rbacv3.RBAC{Rules: forbidden(local)}),
		b.httpFilter(upstreamCodecFilter, &upstreamcodecv3.UpstreamCodec{}),
	}
}

// forbiddenBytes closes a connection before a byte of it gets to where no proxy may be led. The
// address is known when the first comes, as the filter after this reads none before it has
// connected.
func (b *builder) forbiddenBytes(name string, local bool) *listenerv3.Filter {
	return b.networkFilter(networkForbiddenFilter, &networkrbacv3.RBAC{
		StatPrefix: statName(name) + ".forbidden", Rules: forbidden(local),
		EnforcementType: networkrbacv3.RBAC_CONTINUOUS,
	})
}

// forbidden denies what is bound for an address that no proxy may be led to.
func forbidden(local bool) *rbacconfigv3.RBAC {
	return &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_DENY, Policies: map[string]*rbacconfigv3.Policy{"forbidden": {
		Permissions: []*rbacconfigv3.Permission{{Rule: &rbacconfigv3.Permission_Any{Any: true}}},
		Principals:  []*rbacconfigv3.Principal{{Identifier: &rbacconfigv3.Principal_Any{Any: true}}},
		Condition:   upstreamIsAny(forbiddenAddresses(local)),
	}}}
}

// upstreamIsAny is the condition that the address of the upstream, "IP:PORT" or "[IP]:PORT" (Envoy,
// attributes), matches one of some regular expressions. No other matcher of Envoy's knows the
// address, and one expression for all would be longer than CEL takes.
func upstreamIsAny(expressions []string) *exprv1alpha1.Expr {
	if n := len(expressions) / 2; n > 0 {
		return calls("_||_", nil, upstreamIsAny(expressions[:n]), upstreamIsAny(expressions[n:]))
	}
	upstream := &exprv1alpha1.Expr{ExprKind: &exprv1alpha1.Expr_SelectExpr{SelectExpr: &exprv1alpha1.Expr_Select{
		Operand: &exprv1alpha1.Expr{ExprKind: &exprv1alpha1.Expr_IdentExpr{
			IdentExpr: &exprv1alpha1.Expr_Ident{Name: "upstream"},
		}},
		Field: "address",
	}}}
	return calls("matches", upstream, text(expressions[0]))
}

// text is a string of CEL.
func text(value string) *exprv1alpha1.Expr {
	return &exprv1alpha1.Expr{ExprKind: &exprv1alpha1.Expr_ConstExpr{ConstExpr: &exprv1alpha1.Constant{
		ConstantKind: &exprv1alpha1.Constant_StringValue{StringValue: value},
	}}}
}

func calls(function string, target *exprv1alpha1.Expr, arguments ...*exprv1alpha1.Expr) *exprv1alpha1.Expr {
	return &exprv1alpha1.Expr{ExprKind: &exprv1alpha1.Expr_CallExpr{CallExpr: &exprv1alpha1.Expr_Call{
		Target:   target,
		Function: function, Args: arguments,
	}}}
}

// forbiddenAddresses match the beginning of "IP:PORT" for the addresses of each network.
func forbiddenAddresses(local bool) []string {
	var out []string
	for _, f := range ir.ForbiddenNetworks(local) {
		switch {
		case f.Addr().Is4():
			out = append(out, `^(\[::(ffff:)?)?`+startsIPv4(f.Prefix))
		case !f.IPv4.IsValid():
			out = append(out, `^\[`+startsIPv6(f.Prefix))
		}
	}
	return append(out, standForIPv4()...)
}

// startsIPv4 matches how the addresses of a network begin in text.
func startsIPv4(network netip.Prefix) string {
	octets, rest := network.Bits()/8, network.Bits()%8
	bytes := network.Addr().As4()
	var text strings.Builder
	for i := range octets {
		end := `\.`
		if i == len(bytes)-1 {
			end = `[:\]]`
		}
		fmt.Fprintf(&text, "%d%s", bytes[i], end)
	}
	if rest > 0 {
		var last []string
		for i := range 1 << (8 - rest) {
			last = append(last, strconv.Itoa(int(bytes[octets])+i))
		}
		fmt.Fprintf(&text, `(%s)\.`, strings.Join(last, "|"))
	}
	return text.String()
}

// startsIPv6 matches how the addresses of a network begin in text (RFC 5952): a whole address; a
// network of whole groups, none of them 0 but where "::" stands; or a part of the first group.
func startsIPv6(network netip.Prefix) string {
	text, bits := network.Addr().String(), network.Bits()
	switch {
	case bits == 128:
		return text + `\]`
	case bits%16 == 0:
		return strings.TrimRight(strings.TrimSuffix(text, ":0"), ":") + ":"
	}
	first := binary.BigEndian.Uint16(network.Addr().AsSlice())
	var firsts []string
	for i := range 1 << max(0, 12-bits) { // the digits before those that are free
		firsts = append(firsts, strconv.FormatUint(uint64(first>>4)+uint64(i), 16)+"[0-9a-f]")
	}
	return fmt.Sprintf(`(%s):`, strings.Join(firsts, "|"))
}
