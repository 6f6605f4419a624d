// Command bench measures meshc compile next to cue export on generated mesh
// repositories, in turn in one run, and writes a table and a JSON file.
//
//	go run ./tools/bench -meshc bin/meshc -cue bin/cue -out bench
//	go run ./tools/bench serve -meshc bin/meshc -out bench
//
// With serve it measures meshc serve instead, with proxies of its own; see [ServeRow].
//
// Both tools are given the same units. cue needs the schema in the root of the
// repository, so its copy has it there; meshc brings the same schema along.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serveMain(os.Args[2:])
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "serve-child" {
		if err := serveChild(os.Args[2], os.Args[3]); err != nil {
			log.Fatalf("bench: the server: %v", err)
		}
		return
	}
	meshc := flag.String("meshc", "bin/meshc", "the meshc to measure")
	cue := flag.String("cue", "bin/cue", "the cue to measure it against")
	out := flag.String("out", "bench", "directory for bench.txt and bench.json")
	sizes := flag.String("units", "100,1000,5000", "sizes of the repositories, in units")
	runs := flag.Int("runs", 3, "runs of each command; the median counts")
	flag.Parse()
	if err := run(*meshc, *cue, *out, *sizes, *runs); err != nil {
		log.Fatalf("bench: %v", err)
	}
}

// Row is what was measured on one size.
type Row struct {
	Units      int  `json:"units"`
	CueExport  Cost `json:"cueExport"`
	Cold       Cost `json:"cold"`
	Warm       Cost `json:"warm"`
	WarmEdited Cost `json:"warmEdited"`
	Diff       Cost `json:"diff"`
	// Try is how long one request is followed through the mesh, once that is loaded, in milliseconds.
	Try float64 `json:"tryMilliseconds"`
	// Ratios, each the median over the runs of the ratio within one run.
	ColdToCueCPU   float64 `json:"coldToCueCPU"`
	ColdToCuePeak  float64 `json:"coldToCuePeak"`
	EditedToCold   float64 `json:"editedToColdCPU"`
	EditedToColdWT float64 `json:"editedToColdWall"`
	DiffToCold     float64 `json:"diffToColdCPU"`
	DiffToColdWT   float64 `json:"diffToColdWall"`
}

func run(meshc, cue, out, sizes string, runs int) error {
	meshc, err := filepath.Abs(meshc)
	if err != nil {
		return err
	}
	cue, err = filepath.Abs(cue)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "meshc-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var rows []Row
	for _, size := range strings.Split(sizes, ",") {
		units, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		row, err := measure(work, meshc, cue, units, runs)
		if err != nil {
			return err
		}
		rows = append(rows, row)
		table(os.Stderr, rows)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(struct {
		CPUs           int     `json:"cpus"`
		Go             string  `json:"go"`
		Runs           int     `json:"runs"`
		GrowthExponent float64 `json:"growthExponent"`
		Rows           []Row   `json:"rows"`
	}{runtime.NumCPU(), runtime.Version(), runs, exponent(rows), rows}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "bench.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(out, "bench.txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	table(io.MultiWriter(os.Stdout, f), rows)
	return f.Close()
}

// table prints the figures, CPU and wall in seconds and peak memory in MiB.
func table(w io.Writer, rows []Row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "units\tcommand\tCPU s\twall s\tpeak MiB\tCPU ratio\t")
	for _, r := range rows {
		line := func(name string, c Cost, ratio string) {
			fmt.Fprintf(t, "%d\t%s\t%.2f\t%.2f\t%.0f\t%s\t\n", r.Units, name, c.CPU, c.Wall, c.Peak, ratio)
		}
		line("cue export", r.CueExport, "")
		line("meshc compile, cold", r.Cold, fmt.Sprintf("%.2f of cue export", r.ColdToCueCPU))
		line("meshc compile, nothing changed", r.Warm, fmt.Sprintf("%.1f %% of cold", 100*r.Warm.CPU/r.Cold.CPU))
		line("meshc compile, one unit edited", r.WarmEdited, fmt.Sprintf("%.1f %% of cold (wall: %.1f %%)",
			100*r.EditedToCold, 100*r.EditedToColdWT))
		line("meshc diff --from HEAD, one unit edited", r.Diff, fmt.Sprintf("%.1f %% of cold (wall: %.1f %%)",
			100*r.DiffToCold, 100*r.DiffToColdWT))
		fmt.Fprintf(t, "%d\tmeshc try, beyond loading\t\t%.4f\t\t\t\n", r.Units, r.Try/1000)
	}
	t.Flush()
	if len(rows) > 1 {
		fmt.Fprintf(w, "cold CPU grows with units to the power of %.2f\n", exponent(rows))
	}
}

// exponent is that of the growth of the cold CPU time between the two largest
// sizes.
func exponent(rows []Row) float64 {
	if len(rows) < 2 {
		return 0
	}
	a, b := rows[len(rows)-2], rows[len(rows)-1]
	return math.Log(b.Cold.CPU/a.Cold.CPU) / math.Log(float64(b.Units)/float64(a.Units))
}

func median[T any](values []T, of func(T) float64) float64 {
	var all []float64
	for _, v := range values {
		all = append(all, of(v))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
