//go:build e2e

package plants

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// checklist looks for a cause as "consul troubleshoot" does
// (https://developer.hashicorp.com/consul/docs/troubleshoot/troubleshoot-services): are the proxies there, have they
// their configuration, are certificates valid, has each callee healthy endpoints, is anything refused by rules. The
// first that fails is the verdict.
func (f *field) checklist(t *testing.T, n, before *numbers) verdict {
	t.Helper()
	if n.state.Endpoints != "" {
		file, _, _ := strings.Cut(n.state.Endpoints, ":")
		return verdict{Cause: "endpoints-file-blank", Subject: "service " + strings.TrimSuffix(file, ".json")}
	}
	for _, p := range n.state.Proxies {
		member := "service " + strings.Split(p.Node+"//", "/")[1]
		switch p.State {
		case "not connected":
			return verdict{Cause: "proxy-dead", Subject: member}
		case "behind", "refused":
			return verdict{Cause: "stream-without-updates", Subject: member}
		}
	}
	for _, e := range n.Edges {
		if e.Callee == "" {
			continue
		}
		if missing := f.withoutEndpoints(t, e.Caller, strings.TrimPrefix(e.Callee, "service ")); missing != "" {
			return verdict{Cause: "no-instances", Subject: e.Callee, Text: missing}
		}
	}
	for _, e := range n.Edges {
		if denied("", e.Callee)(n, before, "") == "" && e.Server != nil && e.Server.Denied > 0 {
			edge := fmt.Sprintf("edge %s -> %s", plain(e.Caller), plain(e.Callee))
			return verdict{Cause: "rule-removed", Subject: edge}
		}
	}
	return verdict{Cause: "nothing", Subject: "mesh"}
}

// plain is the name of a member without its kind.
func plain(member string) string { return member[strings.Index(member, " ")+1:] }

// withoutEndpoints says which cluster of a caller's Envoy that leads to the callee has no healthy endpoint.
func (f *field) withoutEndpoints(t *testing.T, caller, callee string) string {
	t.Helper()
	kind, name, _ := strings.Cut(caller, " ")
	for _, p := range f.Status().Proxies {
		if !strings.HasPrefix(p.ID, kind+"/"+name+"/") {
			continue
		}
		answer, err := http.Get("http://" + p.Admin + "/clusters?format=json")
		if err != nil {
			continue // it is gone, of which another check tells
		}
		var body struct {
			Clusters []struct {
				Name  string `json:"name"`
				Hosts []host `json:"host_statuses"`
			} `json:"cluster_statuses"`
		}
		err = json.NewDecoder(answer.Body).Decode(&body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range body.Clusters {
			if strings.HasPrefix(c.Name, callee+".") && !slices.ContainsFunc(c.Hosts, host.healthy) {
				return p.ID + ": " + c.Name
			}
		}
	}
	return ""
}

// host is an endpoint as an Envoy tells of it.
type host struct {
	Health struct {
		EDS     string `json:"eds_health_status"`
		Outlier bool   `json:"failed_outlier_check"`
	} `json:"health_status"`
}

func (h host) healthy() bool {
	return !h.Health.Outlier && (h.Health.EDS == "" || h.Health.EDS == "HEALTHY")
}
