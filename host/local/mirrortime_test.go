package local

import (
	"net/http"
	"strings"
	"testing"
)

const mirroredMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	client: {workload: deployment: "client", uses: {http: {}, grpc: {}}}
	[N=!="client"]: {
		workload: deployment: N
		ports: main: protocol: N
		versions: {a: labels: version: "a", b: labels: version: "b"}
		timeout: "300ms"
		allow: [{from: services: ["client"]}]
		routes: [{to: [{version: "a"}], mirror: version: "b"}]
	}
	http: ports: main: port: 8081
	grpc: ports: main: port: 8082
}
`

// Copies for an application that hangs are given up after the time that the request has, and come without a word of it.
//
// Field: routes.mirror
func TestCopiesAreGivenUp(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": mirroredMesh}))
	for service, url := range map[string]string{"http": "http://http:8081/", "grpc": "http://grpc:8082/"} {
		got := make(chan http.Header, 1)
		play(t, mesh, service, "a", statusInHeaders("0"))
		play(t, mesh, service, "b", func(_ http.ResponseWriter, r *http.Request) {
			got <- r.Header.Clone()
			<-r.Context().Done()
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if service == "grpc" {
			r.Header.Set("content-type", "application/grpc")
			r.Header.Set("te", "trailers")
		}
		response, err := mesh.As("client").Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		for name := range <-got {
			if strings.Contains(name, "Timeout-Ms") {
				t.Errorf("%s: the copy has %s", service, name)
			}
		}
		eventually(t, "the end of the copy of "+service, func() bool {
			return counted(t, mesh, "service/client/a",
				`^cluster\.`+service+`_default\|main\|b\.upstream_rq_timeout$`) == 1
		})
	}
}
