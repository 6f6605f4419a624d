package conformance

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

var update = flag.Bool("update", false, "write the page of the documentation")

const (
	page  = "../../docs/conformance.md"
	suite = "sigs.k8s.io/gateway-api/conformance"
)

// TestConformance answers the requests of the suite by what import makes of its manifests. At least 95 % of those at
// gateways and 90 % of those in the mesh must be right, each other one has a finding, and the page of the documentation
// says which.
func TestConformance(t *testing.T) {
	lock, err := os.ReadFile("../../tools/conformance/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(lock)), suite+" ")
	cmd := exec.Command("go", "mod", "download", "-json", suite+"@"+version)
	cmd.Dir = t.TempDir() // beside any module
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s is not there: %v %s", suite, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	file, err := Adapt(module.Dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(t.TempDir(), "records.json")
	// Tests of the suite end as failed where it wants what no request shows, and so its exit code says nothing.
	cmd = exec.Command("go", "test", "-modfile", file, "-mod=mod", "-tags", "conformance", "-count=1", "-timeout=20m", "./testdata/suite")
	cmd.Env = append(os.Environ(), "MESHC_CONFORMANCE_RECORDS="+results)
	said, _ := cmd.CombinedOutput()
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var records []Record
	if err := json.Unmarshal(text, &records); err != nil {
		t.Fatal(err)
	}
	gateways, mesh := SharesOf(records)
	if gateways.Percent() < 95 || gateways.All < 400 {
		t.Errorf("right are %d of %d requests at gateways, less than 95%%", gateways.Right, gateways.All)
	}
	if mesh.Percent() < 90 || mesh.All < 80 {
		t.Errorf("right are %d of %d requests in the mesh, less than 90%%", mesh.Right, mesh.All)
	}
	for _, r := range records {
		if !r.Right && len(r.Findings) == 0 {
			t.Errorf("%s: %s is wrong without a finding: %s", r.Test, r.Request, r.Why)
		}
	}
	got := Table(version, records)
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(page); err != nil || string(want) != got {
		t.Errorf("%s is not what the test shows (%v): make conformance writes it\n%s", page, err,
			diff.Diff("page", want, "shown", []byte(got)))
	}
}
