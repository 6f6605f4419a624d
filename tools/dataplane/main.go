// Command dataplane measures what a request costs the two proxies of a mesh, beside the same
// request through a pair of Envoys whose configuration is written by hand and does the least
// that mutual TLS takes. It prints a table and writes dataplane.txt and dataplane.json.
//
//	ENVOY=.tools/envoy go run ./tools/dataplane -out bench
//
// All pairs run at the same time and are measured in turn, in rounds; a ratio is the median
// of the ratios within one round. The same Envoy with the same configuration costs some percent more or less
// each time that it is started, because its memory lies elsewhere: so all pairs are started several times, and the
// median of the starts counts. The cost is the CPU time of both Envoys (user and system)
// as the kernel counts it, so that it hardly depends on what else the machine does.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "bench", "directory for dataplane.txt and dataplane.json")
	requests := flag.Int("requests", 1200, "requests of each pair in each round")
	rounds := flag.Int("rounds", 7, "rounds after each start; the median counts")
	starts := flag.Int("starts", 9, "starts of all pairs; the median counts")
	only := flag.String("only", "", "measure this mesh alone beside the pair written by hand")
	flag.Parse()
	if err := run(*out, *requests, *rounds, *starts, *only); err != nil {
		log.Fatalf("dataplane: %v", err)
	}
}

// Row is what the proxies of one pair cost.
type Row struct {
	Name string `json:"name"`
	// Micros is CPU time of both proxies for each request, in microseconds: the median of the rounds.
	Micros float64 `json:"cpuMicroseconds"`
	// Ratio is that beside the pair written by hand.
	Ratio float64 `json:"ratio"`
}

func run(out string, requests, rounds, starts int, only string) error {
	var all [][]Row
	for range starts {
		rows, err := measureOnce(requests, rounds, only)
		if err != nil {
			return err
		}
		all = append(all, rows)
	}
	return report(out, requests, rounds, medianRows(all))
}

// measureOnce starts all pairs, measures them, and stops them.
func measureOnce(requests, rounds int, only string) (rows []Row, err error) {
	work, err := os.MkdirTemp("", "meshc-dataplane-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	var pairs []*pair
	defer func() {
		for _, p := range pairs {
			if stopped := p.stop(); err == nil {
				err = stopped
			}
		}
	}()
	for _, m := range meshes {
		if only != "" && m.name != only {
			continue
		}
		p, err := startMesh(ctx, filepath.Join(work, m.name), m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("there is no mesh %q", only)
	}
	hand, err := startByHand(ctx, filepath.Join(work, "by-hand"), pairs[0])
	if err != nil {
		return nil, fmt.Errorf("the pair written by hand: %w", err)
	}
	pairs = append([]*pair{hand}, pairs...)
	return measure(pairs, requests, rounds)
}

// medianRows has for each pair the median of its starts.
func medianRows(starts [][]Row) []Row {
	out := slices.Clone(starts[0])
	for i := range out {
		var micros, ratios []float64
		for _, rows := range starts {
			micros, ratios = append(micros, rows[i].Micros), append(ratios, rows[i].Ratio)
		}
		out[i].Micros, out[i].Ratio = median(micros), median(ratios)
	}
	return out
}

// ratioOf is what one mesh costs beside another one; 0 where either was not measured.
func ratioOf(rows []Row, mesh, beside string) float64 {
	var with, without float64
	for _, r := range rows {
		switch r.Name {
		case mesh:
			with = r.Ratio
		case beside:
			without = r.Ratio
		}
	}
	if with == 0 || without == 0 {
		return 0
	}
	return with / without
}

func report(out string, requests, rounds int, rows []Row) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(struct {
		CPUs     int   `json:"cpus"`
		Requests int   `json:"requests"`
		Rounds   int   `json:"rounds"`
		Rows     []Row `json:"rows"`
	}{runtime.NumCPU(), requests, rounds, rows}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "dataplane.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(out, "dataplane.txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	t := tabwriter.NewWriter(io.MultiWriter(os.Stdout, f), 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "two proxies\tCPU µs a request\tof the pair by hand\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t\n", r.Name, r.Micros, r.Ratio)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if ratio := ratioOf(rows, meshes[0].name, meshes[1].name); ratio > 0 {
		fmt.Fprintf(io.MultiWriter(os.Stdout, f), "metrics: %.2f of the same mesh without\n", ratio)
	}
	if ratio := ratioOf(rows, meshes[len(meshes)-1].name, meshes[0].name); ratio > 0 {
		fmt.Fprintf(io.MultiWriter(os.Stdout, f), "taps, of which none is open: %.2f of the same mesh without operators\n",
			ratio)
	}
	return f.Close()
}
