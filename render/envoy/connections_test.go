package envoy

import (
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// TestOnlyTheFirstProxyEndsIdleRequests wants bounds on idle requests and connections where they come from an
// application or from outside, and none where a proxy has bounded them already: it would cut those that the spec keeps
// for longer.
func TestOnlyTheFirstProxyEndsIdleRequests(t *testing.T) {
	first, behind := 0, 0
	for _, v := range variants(shop(ir.DeliveryXDS)) {
		r, err := Build(v.scope, v.Options)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range r.Listeners {
			for _, chain := range l.FilterChains {
				m := requestsOf(t, chain)
				if m == nil || strings.HasPrefix(l.Name, healthListener) {
					continue
				}
				fromProxy := chain.TransportSocket != nil && (strings.HasPrefix(l.Name, inboundListener) ||
					l.Name == egressListener)
				if fromProxy {
					behind++
				} else {
					first++
				}
				request, connection := m.StreamIdleTimeout.AsDuration(),
					m.CommonHttpProtocolOptions.IdleTimeout.AsDuration()
				if bounded := request > 0 && connection > 0; bounded == fromProxy || request > 0 != (connection > 0) {
					t.Errorf("%s, %s %s: idle requests end after %s, and connections after %s", v.name, l.Name,
						chain.Name, request, connection)
				}
			}
		}
	}
	if first == 0 || behind == 0 {
		t.Errorf("there are %d first proxies, and %d behind another", first, behind)
	}
}

// requestsOf is what reads the requests of a filter chain; nil where nothing does.
func requestsOf(t *testing.T, chain *listenerv3.FilterChain) *hcmv3.HttpConnectionManager {
	t.Helper()
	for _, f := range chain.Filters {
		if m := new(hcmv3.HttpConnectionManager); f.Name == hcmFilter {
			if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	return nil
}
