package local

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/istio"
)

// imported is what files of testdata/bookinfo make, with the application and its gateway.
func imported(t *testing.T, files ...string) *ir.Mesh {
	t.Helper()
	var objects []*importer.Object
	for _, file := range append([]string{"bookinfo", "bookinfo-gateway", "destination-rule-all"}, files...) {
		file = "../../testdata/bookinfo/" + file + ".yaml"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		read, found := importer.Read(file, data, "default")
		for _, d := range found {
			t.Errorf("%v %s", d.Positions, d.Message)
		}
		objects = append(objects, read...)
	}
	m := istio.Import(objects, importer.Options{
		Name: "bookinfo", TrustDomain: "cluster.local",
		Calls: map[string][]string{"productpage": {"details", "reviews"}, "reviews": {"ratings"}},
	})
	for _, d := range m.Found {
		t.Errorf("%v %s", d.Positions, d.Message)
	}
	written, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}
	repository := map[string]string{}
	for name, data := range written {
		repository[name] = string(data)
	}
	return inline(t, repository)
}

// TestBookinfo runs the application of Istio's documentation, as it is imported, and the routing
// tasks there.
func TestBookinfo(t *testing.T) {
	mesh := start(t, imported(t, "virtual-service-all-v1"))
	page := mesh.Gateway("bookinfo-gateway").URL + "/productpage?via=details&via=reviews,ratings"
	task := func(name string, files []string, behaves func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			if err := mesh.Update(t.Context(), imported(t, files...)); err != nil {
				t.Fatal(err)
			}
			behaves(t)
		})
	}
	reviews := func(t *testing.T, user string) (app.Call, time.Duration) {
		t.Helper()
		begun := time.Now()
		r := get(t, http.DefaultClient, page, "end-user", user)
		if len(r.Calls) != 2 || r.Calls[0].Report == nil || r.Calls[0].Report.Service != "details" {
			t.Fatalf("the page is %+v", r)
		}
		return r.Calls[1], time.Since(begun)
	}
	versionFor := func(t *testing.T, user string) string {
		t.Helper()
		call, _ := reviews(t, user)
		if call.Report == nil {
			t.Fatalf("reviews answered %d %s", call.Status, call.Error)
		}
		return call.Report.Version
	}

	task("request routing: all to v1", []string{"virtual-service-all-v1"}, func(t *testing.T) {
		for range 20 {
			if v := versionFor(t, "anna"); v != "v1" {
				t.Fatalf("reviews %s", v)
			}
		}
		if a := send(t, http.DefaultClient, http.MethodGet, mesh.Gateway("bookinfo-gateway").
			URL+"/elsewhere"); a.status != http.StatusNotFound {
			t.Errorf("a path that is not routed gets %d", a.status)
		}
	})
	task("request routing: by user", []string{"virtual-service-reviews-test-v2"}, func(t *testing.T) {
		for range 10 {
			if jason, anna := versionFor(t, "jason"), versionFor(t, "anna"); jason != "v2" || anna != "v1" {
				t.Fatalf("jason is given %s, and anna %s", jason, anna)
			}
		}
	})
	task("fault injection: a delay", []string{"virtual-service-reviews-test-v2", "virtual-service-ratings-test-delay"},
		func(t *testing.T) {
			// An application's connection that was open before the filter for faults came goes without it, until the
			// proxy has had it closed.
			eventually(t, "jason's wait", func() bool { _, took := reviews(t, "jason"); return took >= 7*time.Second })
			if _, took := reviews(t, "anna"); took > 5*time.Second {
				t.Errorf("anna waits %s", took)
			}
		})
	task("fault injection: an abort", []string{"virtual-service-reviews-test-v2", "virtual-service-ratings-test-abort"},
		func(t *testing.T) {
			for user, want := range map[string]int{"jason": http.StatusInternalServerError, "anna": http.StatusOK} {
				call, _ := reviews(t, user)
				if call.Report == nil || len(call.Report.Calls) != 1 || call.Report.Calls[0].Status != want {
					t.Errorf("the ratings for %s are %+v, want %d", user, call.Report, want)
				}
			}
		})
	task("traffic shifting: half to v3", []string{"virtual-service-reviews-50-v3"}, func(t *testing.T) {
		count := map[string]int{}
		for range 200 {
			count[versionFor(t, "anna")]++
		}
		if count["v1"]+count["v3"] != 200 || count["v1"] < 60 || count["v3"] < 60 { // 60 is 5.7 standard deviations off
			t.Errorf("200 requests went to %v", count)
		}
	})
	task("traffic shifting: all to v3", []string{"virtual-service-reviews-v3"}, func(t *testing.T) {
		for range 20 {
			if v := versionFor(t, "anna"); v != "v3" {
				t.Fatalf("reviews %s", v)
			}
		}
	})
	task("request timeouts", []string{"virtual-service-reviews-timeout", "virtual-service-ratings-delay"},
		func(t *testing.T) {
			call, took := reviews(t, "anna")
			if call.Status != http.StatusGatewayTimeout || took < 500*time.Millisecond || took > 2*time.Second {
				t.Errorf("reviews answered %d after %s", call.Status, took)
			}
		})
}
