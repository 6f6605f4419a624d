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

// bookinfo is the application of Istio's documentation, as it is imported.
type bookinfo struct {
	mesh *Mesh
	// page is the URL of the product page, which asks for details and for reviews with their ratings.
	page string
}

// reviews asks for the page as a user. It returns what the page heard of reviews, and how long it took.
func (b *bookinfo) reviews(t *testing.T, user string) (app.Call, time.Duration) {
	t.Helper()
	begun := time.Now()
	r := get(t, http.DefaultClient, b.page, "end-user", user)
	if len(r.Calls) != 2 || r.Calls[0].Report == nil || r.Calls[0].Report.Service != "details" {
		t.Fatalf("the page is %+v", r)
	}
	return r.Calls[1], time.Since(begun)
}

// versionFor is the version of reviews that a user is given.
func (b *bookinfo) versionFor(t *testing.T, user string) string {
	t.Helper()
	call, _ := b.reviews(t, user)
	if call.Report == nil {
		t.Fatalf("reviews answered %d %s", call.Status, call.Error)
	}
	return call.Report.Version
}

// TestBookinfo runs the application of Istio's documentation, as it is imported, and the routing
// tasks there.
func TestBookinfo(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := &bookinfo{mesh: start(t, imported(t, "virtual-service-all-v1"))}
	b.page = b.mesh.Gateway("bookinfo-gateway").URL + "/productpage?via=details&via=reviews,ratings"
	for _, task := range []struct {
		name    string
		files   []string
		behaves func(t *testing.T)
	}{
		{"request routing: all to v1", []string{"virtual-service-all-v1"}, b.routesAllToV1},
		{"request routing: by user", []string{"virtual-service-reviews-test-v2"}, b.routesByUser},
		{
			"fault injection: a delay",
			[]string{"virtual-service-reviews-test-v2", "virtual-service-ratings-test-delay"},
			b.delaysRatings,
		},
		{
			"fault injection: an abort",
			[]string{"virtual-service-reviews-test-v2", "virtual-service-ratings-test-abort"},
			b.abortsRatings,
		},
		{"traffic shifting: half to v3", []string{"virtual-service-reviews-50-v3"}, b.shiftsHalf},
		{"traffic shifting: all to v3", []string{"virtual-service-reviews-v3"}, b.shiftsAll},
		{
			"request timeouts",
			[]string{"virtual-service-reviews-timeout", "virtual-service-ratings-delay"},
			b.timesReviewsOut,
		},
	} {
		t.Run(task.name, func(t *testing.T) {
			if err := b.mesh.Update(t.Context(), imported(t, task.files...)); err != nil {
				t.Fatal(err)
			}
			task.behaves(t)
		})
	}
}

func (b *bookinfo) routesAllToV1(t *testing.T) {
	for range 20 {
		if v := b.versionFor(t, "anna"); v != "v1" {
			t.Fatalf("reviews %s", v)
		}
	}
	if a := send(t, http.DefaultClient, http.MethodGet, b.mesh.Gateway("bookinfo-gateway").
		URL+"/elsewhere"); a.status != http.StatusNotFound {
		t.Errorf("a path that is not routed gets %d", a.status)
	}
}

func (b *bookinfo) routesByUser(t *testing.T) {
	for range 10 {
		if jason, anna := b.versionFor(t, "jason"), b.versionFor(t, "anna"); jason != "v2" || anna != "v1" {
			t.Fatalf("jason is given %s, and anna %s", jason, anna)
		}
	}
}

func (b *bookinfo) delaysRatings(t *testing.T) {
	// An application's connection that was open before the filter for faults came goes without it, until the
	// proxy has had it closed.
	eventually(t, "jason's wait", func() bool { _, took := b.reviews(t, "jason"); return took >= 7*time.Second })
	if _, took := b.reviews(t, "anna"); took > 5*time.Second {
		t.Errorf("anna waits %s", took)
	}
}

func (b *bookinfo) abortsRatings(t *testing.T) {
	for user, want := range map[string]int{"jason": http.StatusInternalServerError, "anna": http.StatusOK} {
		call, _ := b.reviews(t, user)
		if call.Report == nil || len(call.Report.Calls) != 1 || call.Report.Calls[0].Status != want {
			t.Errorf("the ratings for %s are %+v, want %d", user, call.Report, want)
		}
	}
}

func (b *bookinfo) shiftsHalf(t *testing.T) {
	count := map[string]int{}
	for range 200 {
		count[b.versionFor(t, "anna")]++
	}
	if count["v1"]+count["v3"] != 200 || count["v1"] < 60 || count["v3"] < 60 { // 60 is 5.7 standard deviations off
		t.Errorf("200 requests went to %v", count)
	}
}

func (b *bookinfo) shiftsAll(t *testing.T) {
	for range 20 {
		if v := b.versionFor(t, "anna"); v != "v3" {
			t.Fatalf("reviews %s", v)
		}
	}
}

func (b *bookinfo) timesReviewsOut(t *testing.T) {
	call, took := b.reviews(t, "anna")
	if call.Status != http.StatusGatewayTimeout || took < 500*time.Millisecond || took > 2*time.Second {
		t.Errorf("reviews answered %d after %s", call.Status, took)
	}
}
