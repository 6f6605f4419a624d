package ir

import (
	"net"
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// Use is one edge of the mesh, seen from the caller. The linker has made sure
// that the callee exists and allows the call.
type Use struct {
	// To is the callee: a service, or an external when External is set.
	To       string `json:"to" member:""`
	External bool   `json:"external,omitempty"`
	// Ports are the callee's ports that are called, sorted.
	Ports []string `json:"ports,omitempty"`
	// Routed are ports that the member does not call, sorted: routes of services
	// that it calls lead there, or its proxy asks the rate limit service. At least one of Ports, Routed and UDP is not
	// empty.
	Routed []string `json:"routed,omitempty"`
	// UDP are the callee's ports of UDP to which the member sends datagrams, sorted.
	UDP []string `json:"udp,omitempty" scope:"deployment"`
	// Binds are addresses IP:PORT on the caller's host where its proxy takes
	// connections for the callee, by the name of the callee's port.
	Binds map[string]string `json:"binds,omitempty"`
	// StatefulSets are those of the callee whose pods the caller's requests may name; see [Service.NamesPods].
	StatefulSets []string `json:"statefulSets,omitempty"`
	// Traffic is what the caller says of this call; see [Settings.Policy].
	Traffic Traffic `json:"traffic,omitzero"`
	// Objectives of this caller's requests, besides those of the callee; nil for none.
	Objectives *Objectives     `json:"objectives,omitempty"`
	Pos        source.Position `json:"pos,omitzero"`
}

// UseOf is the use of a callee among those of a member, or nil.
func UseOf(uses []Use, callee string) *Use {
	for i := range uses {
		if uses[i].To == callee {
			return &uses[i]
		}
	}
	return nil
}

// Reached are Ports and Routed, sorted.
func (u *Use) Reached() []string {
	if len(u.Routed) == 0 {
		return u.Ports
	}
	all := slices.Concat(u.Ports, u.Routed)
	slices.Sort(all)
	return all
}

// Bind is where the proxy of an instance takes connections for that port of
// the callee, IP:PORT, or "" for nowhere. What is bound on 127.0.0.1 is bound
// on loopback, which is [Scope.Loopback] of the instance.
func (u *Use) Bind(port, loopback string) string {
	host, number, err := net.SplitHostPort(u.Binds[port])
	if err != nil || host != localhost {
		return u.Binds[port]
	}
	return net.JoinHostPort(loopback, number)
}
