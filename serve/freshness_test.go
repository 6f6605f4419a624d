package serve_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/serve"
)

// typeOf is the state of the resources of a type at a proxy.
func typeOf(r *running, node, short string) serve.TypeStatus {
	report := r.Status()
	for _, p := range report.Proxies {
		for _, of := range p.Types {
			if p.Node == node && of.Type == short {
				return of
			}
		}
	}
	return serve.TypeStatus{}
}

// TestFreshnessOfEndpoints changes the pods of a service, and wants the age of what its caller has to grow until the
// caller acknowledges the change, whatever else changes meanwhile, and the time until then to be told.
func TestFreshnessOfEndpoints(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, inCluster)); err != nil {
		t.Fatal(err)
	}
	set := func(address string) {
		r.SetPods("default", map[string][]live.Endpoint{"cart": {podAt("cart-0", address, "eu-1a", false)}})
	}
	set("10.0.0.1")
	const id = "service/frontend/frontend-1"
	stream := subscribe(t, testContext(t), r.dial(t, "frontend", time.Hour), id)
	answer := receive(t, stream, clusters)
	acknowledge(t, stream, answer)
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: resource.EndpointType, ResourceNamesSubscribe: assigned(t, answer),
	}); err != nil {
		t.Fatal(err)
	}
	acknowledge(t, stream, receive(t, stream, resource.EndpointType))
	eventually(t, "the proxy is current", func() bool {
		of := typeOf(r, id, "EDS")
		return of.State == serve.StateCurrent && of.Age == 0 && of.Took > 0
	})
	set("10.0.0.2")
	answer = receive(t, stream, resource.EndpointType)
	first := typeOf(r, id, "EDS").Age
	set("10.0.0.3") // which is not sent before the other one is acknowledged, and is as old as it is
	eventually(t, "the age grows", func() bool { return first > 0 && typeOf(r, id, "EDS").Age > first+0.02 })
	grown := typeOf(r, id, "EDS").Age
	if _, body := fetch(t, r, "/metrics"); strings.Contains(body, "\nmeshc_unacknowledged_seconds{type=\"EDS\"} 0\n") ||
		!strings.Contains(body, "\nmeshc_unacknowledged_seconds{type=\"CDS\"} 0\n") {
		t.Error("the metrics do not tell that the endpoints alone are old")
	}
	acknowledge(t, stream, answer)
	answer = receive(t, stream, resource.EndpointType)
	if took := typeOf(r, id, "EDS").Took; took < grown {
		t.Errorf("the change took %v s, and had the age %v s before it was acknowledged", took, grown)
	}
	acknowledge(t, stream, answer)
	eventually(t, "the proxy is current again", func() bool {
		of := typeOf(r, id, "EDS")
		return of.State == serve.StateCurrent && of.Age == 0
	})
	r.SetPods("default", map[string][]live.Endpoint{"cart": {
		podAt("cart-0", "10.0.0.3", "eu-1a", false), podAt("cart-1", "10.0.0.4", "eu-1a", true),
	}})
	eventually(t, "a change that no caller is sent is not waited for", func() bool {
		of := typeOf(r, id, "EDS")
		return of.State == serve.StateCurrent && of.Age == 0
	})
}

// TestFreshnessOfAConfiguration wants the age of a configuration to be that of the mesh that was loaded, in each stage.
func TestFreshnessOfAConfiguration(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, shop)); err != nil {
		t.Fatal(err)
	}
	const id = "service/other/a"
	stream := subscribe(t, testContext(t), r.dial(t, "other", time.Hour), id)
	acknowledge(t, stream, receive(t, stream, clusters))
	eventually(t, "the proxy is current", func() bool { return typeOf(r, id, "CDS").State == serve.StateCurrent })
	if err := r.SetMesh(moved(t)); err != nil {
		t.Fatal(err)
	}
	answer := receive(t, stream, clusters)
	before := typeOf(r, id, "CDS").Age
	eventually(t, "the age grows", func() bool { return before > 0 && typeOf(r, id, "CDS").Age > before })
	since := time.Since(r.Status().Loaded).Seconds()
	if age := typeOf(r, id, "CDS").Age; age < since {
		t.Errorf("the age is %v s, and the mesh was loaded %v s ago", age, since)
	}
	acknowledge(t, stream, answer)
	eventually(t, "the change is complete", func() bool {
		of := typeOf(r, id, "CDS")
		return of.State == serve.StateCurrent && of.Age == 0 && of.Took >= before
	})
}

// TestSilentSource has a source stop that speaks regularly, with a proxy that has acknowledged everything: the status
// is not good. In Linkerd (linkerd/linkerd2#11480) proxies had outdated endpoints for hours, as the watch had stopped
// and nothing told it.
func TestSilentSource(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, inCluster)); err != nil {
		t.Fatal(err)
	}
	const watch = "pods in default"
	r.Heard(watch, time.Hour)
	r.Heard("files", 0)
	report := r.Status()
	if !report.Good() || len(report.Silent()) > 0 {
		t.Fatalf("%+v", report)
	}
	r.Heard(watch, time.Millisecond) // and nothing more
	eventually(t, "its silence is told", func() bool {
		report := r.Status()
		silent := report.Silent()
		return len(silent) == 1 && silent[0].Name == watch && !report.Good()
	})
	if _, body := fetch(t, r, "/metrics"); !strings.Contains(body, `meshc_source_age_seconds{source="files"}`) ||
		!strings.Contains(body, `meshc_source_within_seconds{source="`+watch+`"} 0.001`) ||
		strings.Contains(body, `meshc_source_within_seconds{source="files"}`) {
		t.Error("the metrics do not tell the sources")
	}
	r.Heard(watch, time.Hour)
	if report := r.Status(); !report.Good() {
		t.Error("the status is not good again")
	}
	r.Unfollow(watch)
	var names []string
	for _, source := range r.Status().Sources {
		names = append(names, source.Name)
	}
	if !slices.Equal(names, []string{"files", "mesh"}) {
		t.Errorf("%q", names)
	}
}

// receive is the next answer, of that type.
func receive(t *testing.T, stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient,
	url string,
) *discoveryv3.DeltaDiscoveryResponse {
	t.Helper()
	answer, err := stream.Recv()
	if err != nil || answer.GetTypeUrl() != url {
		t.Fatal(answer, err)
	}
	return answer
}

// acknowledge answers that the client has taken what it was sent.
func acknowledge(t *testing.T, stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient,
	answer *discoveryv3.DeltaDiscoveryResponse,
) {
	t.Helper()
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: answer.TypeUrl, ResponseNonce: answer.Nonce,
	}); err != nil {
		t.Fatal(err)
	}
}
