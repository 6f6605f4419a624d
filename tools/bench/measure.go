package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Cost is what a process took: CPU (user and system) and wall in seconds, peak
// resident memory in MiB.
type Cost struct {
	CPU  float64 `json:"cpuSeconds"`
	Wall float64 `json:"wallSeconds"`
	Peak float64 `json:"peakMiB"`
}

// round is one run of every command, in turn.
type round struct {
	cue, cold, warm, edited, diff Cost
	try                           float64
}

func measure(work, meshc, cue string, units, runs int) (Row, error) {
	repository := filepath.Join(work, fmt.Sprintf("mesh-%d", units))
	forCue := filepath.Join(work, fmt.Sprintf("cue-%d", units))
	if err := generate(repository, units, false); err != nil {
		return Row{}, err
	}
	if err := generate(forCue, units, true); err != nil {
		return Row{}, err
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"add", "."},
		{"-c", "user.name=bench", "-c", "user.email=bench@shop.example", "commit", "-q", "-m", "generated"},
	} {
		if _, err := process(repository, "off", append([]string{"git"}, args...)...); err != nil {
			return Row{}, err
		}
	}
	var rounds []round
	for n := range runs {
		r, err := measureRound(work, meshc, cue, repository, forCue, units, n)
		if err != nil {
			return Row{}, err
		}
		rounds = append(rounds, r)
	}
	cost := func(of func(round) Cost) Cost {
		return Cost{
			CPU:  median(rounds, func(r round) float64 { return of(r).CPU }),
			Wall: median(rounds, func(r round) float64 { return of(r).Wall }),
			Peak: median(rounds, func(r round) float64 { return of(r).Peak }),
		}
	}
	return Row{
		Units:          units,
		CueExport:      cost(func(r round) Cost { return r.cue }),
		Cold:           cost(func(r round) Cost { return r.cold }),
		Warm:           cost(func(r round) Cost { return r.warm }),
		WarmEdited:     cost(func(r round) Cost { return r.edited }),
		ColdToCueCPU:   median(rounds, func(r round) float64 { return r.cold.CPU / r.cue.CPU }),
		ColdToCuePeak:  median(rounds, func(r round) float64 { return r.cold.Peak / r.cue.Peak }),
		EditedToCold:   median(rounds, func(r round) float64 { return r.edited.CPU / r.cold.CPU }),
		EditedToColdWT: median(rounds, func(r round) float64 { return r.edited.Wall / r.cold.Wall }),
		Diff:           cost(func(r round) Cost { return r.diff }),
		DiffToCold:     median(rounds, func(r round) float64 { return r.diff.CPU / r.cold.CPU }),
		DiffToColdWT:   median(rounds, func(r round) float64 { return r.diff.Wall / r.cold.Wall }),
		Try:            median(rounds, func(r round) float64 { return r.try }),
	}, nil
}

func measureRound(work, meshc, cue, repository, forCue string, units, n int) (round, error) {
	var r round
	var err error
	cache := filepath.Join(work, fmt.Sprintf("cache-%d-%d", units, n))
	out := filepath.Join(work, fmt.Sprintf("out-%d-%d", units, n))
	defer os.RemoveAll(cache)
	defer os.RemoveAll(out)
	compile := []string{meshc, "compile", "./...", "-o", out}
	if r.cue, err = process(forCue, cache, cue, "export", "./..."); err != nil {
		return r, err
	}
	if r.cold, err = process(repository, cache, compile...); err != nil {
		return r, err
	}
	if r.warm, err = process(repository, cache, compile...); err != nil {
		return r, err
	}
	// The first edit after a cold run still builds the spare tree; a day's work
	// has many.
	for again := range 2 {
		if err := edit(repository, units, 2*n+again); err != nil {
			return r, err
		}
		if r.edited, err = process(repository, cache, compile...); err != nil {
			return r, err
		}
	}
	// The first diff compiles what was committed; those of a day's work find it.
	diff := []string{meshc, "diff", "--from", "HEAD", "-o", "json", "--fail-on", "foreign-effects"}
	for range 2 {
		if r.diff, err = process(repository, cache, diff...); err != nil {
			return r, err
		}
	}
	r.try, err = tryOne(filepath.Join(out, "mesh.json"))
	return r, err
}

// tryOne is how many milliseconds the slowest of some requests takes to be followed through a mesh.
func tryOne(mesh string) (float64, error) {
	data, err := os.ReadFile(mesh)
	if err != nil {
		return 0, err
	}
	m, err := ir.Unmarshal(data)
	if err != nil {
		return 0, err
	}
	var most time.Duration
	for _, s := range m.Services {
		for _, u := range s.Uses {
			if u.External {
				continue
			}
			r := try.Request{
				From: try.Sender{Kind: ir.KindService, Name: s.Name}, Method: "GET", Scheme: "http",
				Host: u.To, Path: "/items/7?q=1",
			}
			start := time.Now()
			if _, err := try.Try(m, r); err != nil {
				return 0, err
			}
			most = max(most, time.Since(start))
		}
	}
	return float64(most.Microseconds()) / 1000, nil
}

// edit changes a timeout in one unit.
func edit(repository string, units, n int) error {
	name := unitFile(repository, (units/2+n)%units)
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	edited := strings.Replace(string(data), `timeout: "3s"`, fmt.Sprintf(`timeout: "3%03dms"`, n+1), 1)
	if edited == string(data) {
		return fmt.Errorf("%s: nothing to edit", name)
	}
	return os.WriteFile(name, []byte(edited), 0o644)
}

// process runs a command and returns what it took.
func process(dir, cache string, args ...string) (Cost, error) {
	cmd := exec.Command(args[0], args[1:]...) // #nosec G204 -- what is measured
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MESHC_CACHE="+cache)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return Cost{}, fmt.Errorf("%s: %w\n%.2000s", strings.Join(args, " "), err, stderr.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return Cost{
		CPU:  (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
		Wall: wall.Seconds(),
		Peak: float64(usage.Maxrss) / 1024,
	}, nil
}
