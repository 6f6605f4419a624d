package local

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// told is what the proxies of a caller and of a failing service have counted of the calls between them: requests by the
// place of their route and the class of their status, tries, failures by status, and what the callee's rules let in.
func (f *failing) told(t *testing.T, by string, s trytest.Failing) series {
	t.Helper()
	callee, caller := f.linked.Service(s.Name).QualifiedName(), memberIdentity(f.linked, sender(by))
	out := series{}
	for id, counters := range map[string][]string{
		proxyOf(by):                {"client_requests", "client_attempts", "client_failures"},
		"service/" + s.Name + "/a": {"server_requests"},
	} {
		for name, n := range scraped(t, f.Mesh, id, "envoy_meshc_http_") {
			l := labels(name)
			metric, _, _ := strings.Cut(strings.TrimPrefix(name, "envoy_meshc_http_"), "{")
			if l["callee"] != callee || l["caller"] != caller {
				continue
			}
			for _, counter := range counters {
				switch {
				case metric != counter:
				case counter == "client_requests":
					out[requestsOf(l["source"], l["http_response_status_class"])] += n
				case counter == "client_failures":
					out[failuresOf(l["http_response_status_code"], l["rpc_grpc_status_code"])] += n
				case counter == "client_attempts":
					out["tries"] += n
				default:
					out["let in by "+l["rule"]] += n
				}
			}
		}
	}
	return out
}

func requestsOf(source, class string) string { return "requests by " + source + " " + class }

func failuresOf(code, grpc string) string { return fmt.Sprintf("failures %s grpc %q", code, grpc) }

// wantTold waits until the counters have grown by what is told of a request that ended so after that many tries, and
// by nothing else.
func (f *failing) wantTold(t *testing.T, by string, s trytest.Failing, trial *try.Trial, before series, status string,
	tries int,
) {
	t.Helper()
	code, grpc := status, ""
	if rest, is := strings.CutPrefix(status, "grpc "); is {
		code, grpc = "200", rest
	}
	source := f.linked.Service(s.Name).Pos.String() // of what no route takes
	if n := len(trial.Routes); n > 0 {
		source = trial.Routes[n-1].Pos.String()
	}
	want := series{
		requestsOf(source, code[:1]+"xx"): 1, "tries": uint64(tries),
		"let in by " + f.linked.Service(s.Name).Allow[0].Label(): uint64(tries),
	}
	if code >= "400" || grpc != "" && grpc != "0" {
		want[failuresOf(code, grpc)] = 1
	}
	eventuallyRight(t, func() string {
		if got := f.told(t, by, s).since(before); !maps.Equal(got, want) {
			return fmt.Sprintf("%s by %s, %s after %d tries, is counted as\n%swant\n%s", s.Name, by, status, tries, listed(got),
				listed(want))
		}
		return ""
	})
}
