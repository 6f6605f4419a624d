package main

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// silently renders the configuration of a proxy without its access loggers, which are what counts.
func silently(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
	r, err := envoy.Build(scope, o)
	if err != nil {
		return nil, err
	}
	for _, l := range r.Listeners {
		for _, chain := range l.FilterChains {
			for _, filter := range chain.Filters {
				m := &hcmv3.HttpConnectionManager{}
				if config := filter.GetTypedConfig(); config.UnmarshalTo(m) == nil {
					m.AccessLog = nil
					if err := config.MarshalFrom(m); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return r, nil
}
