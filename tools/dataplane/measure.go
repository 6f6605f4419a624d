package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meshc/meshc/host/local"
)

// pair is a caller's proxy and a callee's, and how a request gets to the first.
type pair struct {
	name    string
	address string // IP:PORT of the caller's proxy
	header  http.Header
	pids    []int
	stop    func() error
	mesh    *local.Mesh // nil for the pair written by hand
}

// connections is how many of the caller's requests are in flight.
const connections = 8

// measure sends every pair that many requests in each round, in an order that turns.
func measure(pairs []*pair, requests, rounds int) ([]Row, error) {
	costs := make([][]float64, len(pairs))
	for round := -1; round < rounds; round++ {
		cost := make([]float64, len(pairs))
		for i := range pairs {
			at := (i + max(round, 0)) % len(pairs)
			micros, err := cpu(pairs[at], requests)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", pairs[at].name, err)
			}
			cost[at] = micros
		}
		if round < 0 { // connections are made, memory is taken
			continue
		}
		for i := range pairs {
			costs[i] = append(costs[i], cost[i])
		}
	}
	var rows []Row
	for i, p := range pairs {
		ratios := make([]float64, rounds)
		for round := range ratios {
			ratios[round] = costs[i][round] / costs[0][round]
		}
		rows = append(rows, Row{Name: p.name, Micros: median(costs[i]), Ratio: median(ratios)})
	}
	return rows, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// cpu is the CPU time that the pair takes for each of so many requests, in microseconds.
func cpu(p *pair, requests int) (float64, error) {
	before, err := spent(p.pids)
	if err != nil {
		return 0, err
	}
	if err := send(p, requests); err != nil {
		return 0, err
	}
	after, err := spent(p.pids)
	if err != nil {
		return 0, err
	}
	return float64((after - before).Microseconds()) / float64(requests), nil
}

// send wants 200 for each of so many requests.
func send(p *pair, requests int) error {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, p.address)
		},
		MaxIdleConnsPerHost: connections,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	errs := make([]error, connections)
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			for range requests / connections {
				if errs[c] = one(client, p.header); errs[c] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func one(client *http.Client, header http.Header) error {
	r, err := http.NewRequest(http.MethodGet, "http://server:8080/items/7?q=1", nil)
	if err != nil {
		return err
	}
	r.Header = header
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", answer.Status, body)
	}
	return err
}

// spent is the CPU time that the processes have had, all their threads together: the first field of each
// thread's /proc/PID/task/TID/schedstat, which Linux counts in nanoseconds.
func spent(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d/task", pid)
		threads, err := os.ReadDir(dir)
		if err != nil {
			return 0, err
		}
		for _, thread := range threads {
			data, err := os.ReadFile(dir + "/" + thread.Name() + "/schedstat")
			if err != nil {
				return 0, err
			}
			on, _, _ := strings.Cut(string(data), " ")
			nanos, err := strconv.ParseInt(on, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(nanos)
		}
	}
	return sum, nil
}
