package ir

import "github.com/meshc/meshc/compiler/source"

// ExternalAuthorization is a service that is asked about requests.
type ExternalAuthorization struct {
	Name    string `json:"name"`
	Service string `json:"service" member:""`
	Port    string `json:"port"`
	// GRPC has it asked by envoy.service.auth.v3.Authorization, and not by requests
	// like those that it is asked about.
	GRPC       bool   `json:"grpc,omitempty"`
	PathPrefix string `json:"pathPrefix,omitempty"`
	// Headers of the request that it is sent, and of its answer that the
	// application gets.
	Headers  []string        `json:"headers,omitempty"`
	Forward  []string        `json:"forward,omitempty"`
	Timeout  Duration        `json:"timeout"`
	FailOpen bool            `json:"failOpen,omitempty"`
	Pos      source.Position `json:"pos,omitzero"`
}

// ExternalAuthorization returns the one of that name, or nil.
func (s *Settings) ExternalAuthorization(name string) *ExternalAuthorization {
	return find(s.Authorizers, name, func(a *ExternalAuthorization) string { return a.Name })
}
