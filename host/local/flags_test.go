package local

import (
	"encoding/json"
	"fmt"
	"testing"
)

// Proxies on this machine run as the spec has them run in pods: with its threads, and what they say about themselves; a
// change of either starts the proxy anew, and no other.
func TestProxiesRunWithTheirFlags(t *testing.T) {
	const spec = `package m

mesh: {name: "m", trustDomain: "m.example", proxy: logLevel: "info"}
services: [N=string]: {workload: deployment: N, ports: http: {port: 8080, protocol: "http"}}
services: {
	one: allow: [{from: gateways: ["edge"]}]
	two: proxy: {concurrency: %d, logLevel: "error"}
}
gateways: edge: {listeners: http: port: 8080, routes: [{to: [{service: "one"}]}], uses: one: {}, proxy: concurrency: 2}
`
	mesh := start(t, inline(t, map[string]string{"m.cue": fmt.Sprintf(spec, 3)}))
	begun := map[string]string{}
	runs := func(member string, threads int, level string) {
		t.Helper()
		id := ""
		for _, p := range mesh.sortedProxies() {
			if p.id == member || len(p.id) > len(member) && p.id[:len(member)+1] == member+"/" {
				id = p.id
			}
		}
		var info struct {
			State   string `json:"state"`
			Options struct {
				Concurrency int    `json:"concurrency"`
				LogLevel    string `json:"log_level"`
			} `json:"command_line_options"`
		}
		if err := json.Unmarshal([]byte(administration(t, mesh, id, "/server_info")), &info); err != nil {
			t.Fatal(err)
		}
		if info.Options.Concurrency != threads || info.Options.LogLevel != level {
			t.Errorf("%s runs with %+v, want %d threads and %s", id, info.Options, threads, level)
		}
		mesh.mu.Lock()
		defer mesh.mu.Unlock()
		begun[member] = mesh.proxies[id].begun.String()
	}
	runs("service/one", 1, "info")
	runs("service/two", 3, "error")
	runs("gateway/edge", 2, "info")
	before := map[string]string{"service/one": begun["service/one"], "service/two": begun["service/two"]}
	if err := mesh.Update(t.Context(), inline(t, map[string]string{"m.cue": fmt.Sprintf(spec, 2)})); err != nil {
		t.Fatal(err)
	}
	runs("service/one", 1, "info")
	runs("service/two", 2, "error")
	for member, started := range before {
		if again := begun[member] != started; again != (member == "service/two") {
			t.Errorf("%s was started anew: %v", member, again)
		}
	}
}
