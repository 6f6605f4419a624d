package ir

import "github.com/meshc/meshc/compiler/source"

// External is a service outside the mesh.
type External struct {
	Name string `json:"name"`
	// Hosts are the names by which callers address it, lower case; the first is
	// the one that is looked up and that its certificate must carry.
	Hosts []string `json:"hosts"`
	// Local is set where a name of Hosts may lead to loopback, the callers' own.
	Local bool `json:"local,omitempty"`
	// Via is the gateway that calls go through; nil for none.
	Via *Via `json:"via,omitempty"`
	// Ports are sorted by name. At least one. Target is Number.
	Ports   []Port  `json:"ports"`
	Traffic Traffic `json:"traffic,omitzero"`
	// Outliers is nil for [DefaultOutliers].
	Outliers *Outliers `json:"outliers,omitempty"`
	// Roots is a file of PEM certificates on the proxy's host; empty for the
	// system's roots.
	Roots string `json:"roots,omitempty"`
	// Endpoints stand in for the host when local placement gave some.
	Endpoints []Endpoint      `json:"endpoints,omitempty"`
	Pos       source.Position `json:"pos,omitzero"`
}

// Port returns the port of that name, or nil.
func (e *External) Port(name string) *Port { return portByName(e.Ports, name) }
