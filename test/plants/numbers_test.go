//go:build e2e

package plants

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// numbers are what meshc serve tells at /edges and /status.
type numbers struct {
	Now   time.Time `json:"now"`
	Since time.Time `json:"since"`
	Edges []edge    `json:"edges"`
	state state
}

type edge struct {
	Caller string `json:"caller"`
	Callee string `json:"callee"`
	Client *end   `json:"client"`
	Server *end   `json:"server"`
}

type end struct {
	Requests uint64    `json:"requests"`
	Errors   uint64    `json:"errors"`
	Denied   uint64    `json:"denied"`
	Failures []failure `json:"failures"`
	Latency  struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency"`
}

type failure struct {
	Status   int    `json:"status"`
	Flags    string `json:"flags"`
	Requests uint64 `json:"requests"`
}

type state struct {
	Endpoints string  `json:"endpoints"`
	Proxies   []proxy `json:"proxies"`
}

type proxy struct {
	Node  string `json:"node"`
	State string `json:"state"`
}

// numbers are those since the mesh was started.
func (f *field) numbers(t *testing.T) *numbers {
	t.Helper()
	n := &numbers{}
	f.ask(t, "/edges?window=15m", n)
	f.ask(t, "/status", &n.state)
	return n
}

// ask reads JSON from meshc serve.
func (f *field) ask(t *testing.T, path string, into any) {
	t.Helper()
	answer, err := http.Get("http://" + f.ServerAdmin() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// sum adds up what the ends of the edges between two tell; empty for any.
func (n *numbers) sum(caller, callee string, of func(*edge) uint64) (total uint64) {
	for i := range n.Edges {
		if e := &n.Edges[i]; (caller == "" || e.Caller == caller) && (callee == "" || e.Callee == callee) {
			total += of(e)
		}
	}
	return total
}

func (n *numbers) requests(caller, callee string) uint64 {
	return n.sum(caller, callee, func(e *edge) uint64 {
		if e.Client == nil {
			return 0
		}
		return e.Client.Requests
	})
}

// failures are those with the status, if it is not 0, and the flag, if it is not empty, that either end tells of.
func (n *numbers) failures(caller, callee string, status int, flag string) uint64 {
	return n.sum(caller, callee, func(e *edge) uint64 {
		return max(e.Client.failures(status, flag), e.Server.failures(status, flag))
	})
}

func (e *end) failures(status int, flag string) (total uint64) {
	if e == nil {
		return 0
	}
	for _, f := range e.Failures {
		if (status == 0 || f.Status == status) && strings.Contains(f.Flags, flag) {
			total += f.Requests
		}
	}
	return total
}

// proxy is the state of a proxy by its node.
func (n *numbers) proxy(node string) string {
	i := slices.IndexFunc(n.state.Proxies, func(p proxy) bool { return p.Node == node })
	if i < 0 {
		return ""
	}
	return n.state.Proxies[i].State
}
