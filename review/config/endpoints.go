package config

import (
	"encoding/json"
	"fmt"
	"slices"
)

// addresses are what a ClusterLoadAssignment and Envoy's account of one have in common: the endpoints with their
// localities and priorities. Envoy adds what it found out by itself, such as their health.
func addresses(assignment map[string]any) []string {
	var out []string
	for _, group := range list(assignment["endpoints"]) {
		locality, err := json.Marshal(group["locality"])
		if err != nil {
			continue // it was read from JSON
		}
		for _, e := range list(group["lb_endpoints"]) {
			at := child(child(child(e, "endpoint"), "address"), "socket_address")
			out = append(out, fmt.Sprint(at["address"], ":", at["port_value"], " ", string(locality), " ",
				group["priority"]))
		}
	}
	slices.Sort(out)
	return out
}

func list(v any) (out []map[string]any) {
	all, _ := v.([]any) // or none
	for _, e := range all {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func child(m map[string]any, name string) map[string]any {
	out, _ := m[name].(map[string]any) // or nil, which has no members
	return out
}
