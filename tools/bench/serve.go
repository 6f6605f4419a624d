package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// serveOptions are the sizes of a run of "bench serve".
type serveOptions struct {
	meshc, out      string
	services        []int
	proxies, slow   int
	events, edits   int
	rate            int
	handshakes      int
	eventsOf, apart time.Duration
}

// ServeRow is what was measured of a server with a mesh of one size.
type ServeRow struct {
	Services int `json:"services"`
	Proxies  int `json:"proxies"`
	// Connect is CPU of the server per proxy, in milliseconds, until each has everything; Handshake that of a bare
	// mutual TLS handshake. ConnectWall is when the last proxy had everything, in seconds, and Bytes what one is sent.
	Connect     float64 `json:"connectCPUMilliseconds"`
	Handshake   float64 `json:"handshakeCPUMilliseconds"`
	ConnectWall float64 `json:"connectSeconds"`
	Bytes       float64 `json:"bytesPerProxy"`
	// Idle is from the change of one service's pods until its last caller has acknowledged it, in milliseconds, while
	// nothing else happens, and Busy the same at Rate changes per second.
	Idle Latency `json:"idle"`
	Busy Latency `json:"busy"`
	Rate int     `json:"eventsPerSecond"`
	// EventCPU is CPU of the server per change, and PushCPU per answer, in milliseconds, and Pushes are answers per
	// proxy and second.
	EventCPU float64 `json:"eventCPUMilliseconds"`
	PushCPU  float64 `json:"pushCPUMilliseconds"`
	Pushes   float64 `json:"pushesPerProxyAndSecond"`
	// Edit is from a change of mesh.json until its proxy has acknowledged it, in milliseconds; EditCPU is CPU of the
	// server for it, in milliseconds.
	Edit    Latency `json:"edit"`
	EditCPU float64 `json:"editCPUMilliseconds"`
	Edits   int     `json:"edits"`
	// Start, Connected, AfterEvents and AfterEdits are the memory that is in use, in MiB, after a garbage collection.
	Start       float64 `json:"startMiB"`
	Connected   float64 `json:"connectedMiB"`
	AfterEvents float64 `json:"afterEventsMiB"`
	AfterFirst  float64 `json:"afterFirstEditsMiB"`
	AfterEdits  float64 `json:"afterEditsMiB"`
	// Resident is the largest resident memory of the server, in MiB.
	Resident float64 `json:"residentMiB"`
}

// Latency are quantiles in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// serveMain measures meshc serve: go run ./tools/bench serve -services 100,5000 -proxies 200
func serveMain(args []string) {
	o := serveOptions{}
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	f.StringVar(&o.meshc, "meshc", "bin/meshc", "the meshc that compiles the mesh")
	f.StringVar(&o.out, "out", "bench", "directory for serve.txt and serve.json")
	services := f.String("services", "100,5000", "sizes of the meshes, in services")
	f.IntVar(&o.proxies, "proxies", 200, "proxies that connect; each is of another service, as far as there are enough")
	f.IntVar(&o.slow, "slow", 1, "further proxies, which never acknowledge anything")
	f.IntVar(&o.rate, "rate", 1000, "events per second")
	f.DurationVar(&o.eventsOf, "events-for", 20*time.Second, "how long events come at that rate")
	f.IntVar(&o.events, "events", 50, "events that come alone")
	f.DurationVar(&o.apart, "apart", 20*time.Millisecond, "time between events that come alone")
	f.IntVar(&o.edits, "edits", 1000, "edits of mesh.json")
	f.IntVar(&o.handshakes, "handshakes", 500, "bare TLS handshakes")
	_ = f.Parse(args) // ends the process itself
	for _, size := range strings.Split(*services, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			log.Fatalf("bench: -services: %v", err)
		}
		o.services = append(o.services, n)
	}
	if err := runServe(&o); err != nil {
		log.Fatalf("bench: %v", err)
	}
}

func runServe(o *serveOptions) error {
	work, err := os.MkdirTemp("", "meshc-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if o.meshc, err = filepath.Abs(o.meshc); err != nil {
		return err
	}
	var rows []ServeRow
	for _, services := range o.services {
		repository := filepath.Join(work, fmt.Sprintf("mesh-%d", services))
		if err := generate(repository, services, false); err != nil {
			return err
		}
		out := filepath.Join(work, fmt.Sprintf("out-%d", services))
		if _, err := process(repository, "off", o.meshc, "compile", "./...", "-o", out); err != nil {
			return err
		}
		authority := filepath.Join(work, fmt.Sprintf("ca-%d", services))
		row, err := measureServe(o, authority, filepath.Join(out, "mesh.json"), services)
		if err != nil {
			return fmt.Errorf("%d services: %w", services, err)
		}
		rows = append(rows, *row)
		serveTable(os.Stderr, rows)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(struct {
		CPUs int        `json:"cpus"`
		Go   string     `json:"go"`
		Rows []ServeRow `json:"rows"`
	}{runtime.NumCPU(), runtime.Version(), rows}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.out, "serve.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.out, "serve.txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	serveTable(io.MultiWriter(os.Stdout, f), rows)
	return f.Close()
}

// serveTable prints the figures, one column for each size.
func serveTable(w io.Writer, rows []ServeRow) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name string, of func(*ServeRow) string) {
		fmt.Fprintf(t, "%s\t", name)
		for i := range rows {
			fmt.Fprintf(t, "%s\t", of(&rows[i]))
		}
		fmt.Fprintln(t)
	}
	latency := func(l Latency) string { return fmt.Sprintf("%.1f  %.1f  %.1f", l.P50, l.P99, l.Max) }
	line("services, proxies", func(r *ServeRow) string { return fmt.Sprintf("%d, %d", r.Services, r.Proxies) })
	line("cold connect: CPU ms per proxy", func(r *ServeRow) string { return fmt.Sprintf("%.2f", r.Connect) })
	line("a bare TLS handshake: CPU ms", func(r *ServeRow) string { return fmt.Sprintf("%.2f", r.Handshake) })
	line("besides the handshake: CPU ms", func(r *ServeRow) string {
		return fmt.Sprintf("%.2f", r.Connect-r.Handshake)
	})
	line("cold connect, in handshakes", func(r *ServeRow) string { return fmt.Sprintf("%.1f", r.Connect/r.Handshake) })
	line("all complete after, s", func(r *ServeRow) string { return fmt.Sprintf("%.2f", r.ConnectWall) })
	line("KB per proxy", func(r *ServeRow) string { return fmt.Sprintf("%.0f", r.Bytes/1000) })
	line("one event → last ACK: p50 p99 max ms", func(r *ServeRow) string { return latency(r.Idle) })
	line("events per second", func(r *ServeRow) string { return strconv.Itoa(r.Rate) })
	line("event → last ACK: p50 p99 max ms", func(r *ServeRow) string { return latency(r.Busy) })
	line("CPU ms per event", func(r *ServeRow) string { return fmt.Sprintf("%.3f", r.EventCPU) })
	line("a push, in handshakes", func(r *ServeRow) string { return fmt.Sprintf("%.2f", r.PushCPU/r.Handshake) })
	line("pushes per proxy and second", func(r *ServeRow) string { return fmt.Sprintf("%.1f", r.Pushes) })
	line("edits of mesh.json", func(r *ServeRow) string { return strconv.Itoa(r.Edits) })
	line("edit → ACK: p50 p99 max ms", func(r *ServeRow) string { return latency(r.Edit) })
	line("CPU ms per edit", func(r *ServeRow) string { return fmt.Sprintf("%.0f", r.EditCPU) })
	line("memory MiB: start, connected", func(r *ServeRow) string {
		return fmt.Sprintf("%.0f, %.0f", r.Start, r.Connected)
	})
	line("connected KiB per proxy", func(r *ServeRow) string {
		return fmt.Sprintf("%.0f", (r.Connected-r.Start)*1024/float64(r.Proxies))
	})
	line("after events, 10 edits, all edits", func(r *ServeRow) string {
		return fmt.Sprintf("%.0f, %.0f, %.0f", r.AfterEvents, r.AfterFirst, r.AfterEdits)
	})
	line("largest resident MiB", func(r *ServeRow) string { return fmt.Sprintf("%.0f", r.Resident) })
	t.Flush()
}
