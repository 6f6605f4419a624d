package importer

import "github.com/meshc/meshc/compiler/spec"

// Bounds are what a place says of connections to those ports, without what holds nowhere, which is told of the object:
// a bound of connections where all requests share them by HTTP/2, and one of requests where there are none. A call is
// made by proxies, which send requests of HTTP/1.1 by HTTP/2 too. It is nil if nothing is left.
func (m *Mesh) Bounds(o *Object, c *spec.Connections, ports map[string]*spec.Port, call bool) *spec.Connections {
	if c == nil || len(ports) == 0 {
		return c
	}
	connections, requests := false, false
	for _, p := range ports {
		switch p.Protocol.Value {
		case "tcp", "tls":
			connections = true
		case "http", "https":
			connections, requests = connections || !call || len(p.Upgrades) > 0, true
		default:
			requests = true
		}
	}
	left := *c
	if left.Max.IsSet() && !connections {
		m.Note(o, "a bound on connections is not carried over: requests share them, by HTTP/2")
		left.Max = spec.Field[int]{}
	}
	if left.MaxRequests.IsSet() && !requests {
		m.Note(o, "a bound on requests is not carried over: no port speaks HTTP")
		left.MaxRequests = spec.Field[int]{}
	}
	if left == (spec.Connections{}) {
		return nil
	}
	return &left
}
