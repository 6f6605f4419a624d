package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
)

// prober sends requests that have applications fail.
type prober struct {
	*sender
	// longest is how long a request may take that is to show something.
	longest time.Duration
}

// observed is what became of a request.
type observed struct {
	status int
	took   time.Duration
	tries  int  // that applications saw
	broken bool // the answer began, and a proxy ended it
}

func (o *observed) text() string {
	if o.status == 0 {
		return fmt.Sprintf("is not answered within %s, and %s", rounded(o.took), tries(o.tries))
	}
	return fmt.Sprintf("is answered %d after %s and %s", o.status, rounded(o.took), tries(o.tries))
}

// doing is what a request asks of the application (host/app).
type doing map[string]string

// hanging has applications answer when nobody waits any more.
var hanging = doing{"x-delay": "120s"}

// streaming has applications begin to answer at once, and go on when nobody waits any more.
var streaming = doing{"x-stream": "120s"}

// failing has applications answer every try with that status.
func failing(status int) doing {
	return doing{"x-fail": "1000", "x-status": fmt.Sprint(status)}
}

// resetting has applications break every try off.
var resetting = doing{"x-reset": "true"}

// busyTime is for how long a request is sent again that a rate limit refuses which it is not about, and busyPause the
// time in between.
const (
	busyTime  = 10 * time.Second
	busyPause = 100 * time.Millisecond
)

// ask sends a request of an edge, and counts what its callees see of it.
func (p *prober) ask(ctx context.Context, e *edge, do doing) (*observed, error) {
	for began := time.Now(); ; {
		o, err := p.once(ctx, e, do)
		if err != nil || o.status != http.StatusTooManyRequests || time.Since(began) > busyTime {
			return o, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(busyPause):
		}
	}
}

// once is ask, whatever a rate limit says.
func (p *prober) once(ctx context.Context, e *edge, do doing) (*observed, error) {
	key := strings.ToLower(rand.Text())
	t := *e.test
	t.Headers = append(slices.Clone(t.Headers), ir.Header{Name: "x-key", Value: key})
	for name, value := range do {
		t.Headers = append(t.Headers, ir.Header{Name: name, Value: value})
	}
	ctx, cancel := context.WithTimeout(ctx, p.longest+slack)
	defer cancel()
	began := time.Now()
	a, err := p.send(ctx, &t)
	o := &observed{took: time.Since(began)}
	switch {
	case errors.Is(err, errClosed), errors.Is(err, context.DeadlineExceeded):
	case errors.Is(err, errBroken):
		o.broken = true
	case err != nil:
		return nil, err
	default:
		o.status = a.status
	}
	for _, callee := range p.callees(e) {
		for _, r := range callee.Requests() {
			if r.Headers["x-key"] == key {
				o.tries++
			}
		}
	}
	return o, nil
}

// callees are the applications where an edge arrives.
func (p *prober) callees(e *edge) (list []*app.App) {
	for _, end := range e.ends {
		if end.Kind == ir.KindExternal {
			list = append(list, p.mesh.External(end.Name))
			continue
		}
		for _, instance := range p.mesh.Placed().Service(end.Name).Workload.Endpoints {
			list = append(list, p.mesh.Backend(end.Name, instance.Name))
		}
	}
	return list
}

// burst sends so many requests of an edge at once, and counts what became of them by their status.
func (p *prober) burst(ctx context.Context, e *edge, n int, do doing) (map[int]int, error) {
	statuses, errs := make([]int, n), make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			o, err := p.once(ctx, e, do)
			if errs[i] = err; err == nil {
				statuses[i] = o.status
			}
		})
	}
	wait.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	return count, errors.Join(errs...)
}

// stat is the sum of a statistic of the caller's proxy about the callees of an edge.
func (p *prober) stat(ctx context.Context, e *edge, name string) (sum uint64, err error) {
	m := p.mesh.Placed()
	instance := "a"
	if s := m.Service(e.test.From); s != nil && e.test.FromKind == ir.KindService {
		instance = s.Workload.Endpoints[0].Name
	}
	for _, end := range e.ends {
		cluster := "external|" + end.Name
		if end.Kind == ir.KindService {
			cluster = m.Service(end.Name).QualifiedName()
		}
		stats, err := p.mesh.Stats(ctx, e.caller().ID()+"/"+instance,
			`^cluster\.`+regexp.QuoteMeta(strings.ReplaceAll(cluster, ".", "_"))+`\|.*\.`+name+"$")
		if err != nil {
			return 0, err
		}
		for _, n := range stats {
			sum += n
		}
	}
	return sum, nil
}

// atApplications is the sum of a statistic of the callees' own proxies about their applications.
func (p *prober) atApplications(ctx context.Context, e *edge, name string) (sum uint64, err error) {
	for _, end := range e.ends {
		for _, instance := range p.mesh.Placed().Service(end.Name).Workload.Endpoints {
			stats, err := p.mesh.Stats(ctx, end.ID()+"/"+instance.Name, `^cluster\.inbound\|.*\.`+name+"$")
			if err != nil {
				return 0, err
			}
			for _, n := range stats {
				sum += n
			}
		}
	}
	return sum, nil
}

// during is the largest sum of statistics about the callees of an edge while something goes on.
func (p *prober) during(ctx context.Context, e *edge, name string, goesOn func() error) (largest uint64, err error) {
	done := make(chan error, 1)
	go func() { done <- goesOn() }()
	for {
		n, err := p.stat(ctx, e, name)
		largest = max(largest, n)
		if err != nil {
			return largest, errors.Join(err, <-done)
		}
		select {
		case err := <-done:
			return largest, err
		case <-time.After(5 * time.Millisecond):
		}
	}
}
