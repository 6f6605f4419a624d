package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// firstEdits are those after which memory is measured once, to compare it with that after all edits.
const firstEdits = 10

// edits changes a timeout in mesh.json again and again, each time of another service that a connected proxy calls.
func (l *load) edits(mesh string) error {
	if l.o.edits == 0 {
		return nil
	}
	data, err := os.ReadFile(mesh)
	if err != nil {
		return err
	}
	m, err := ir.Unmarshal(data)
	if err != nil {
		return err
	}
	var took []time.Duration
	seconds, after, err := l.cpu(func() error {
		for n := range l.o.edits {
			d, err := l.edit(m, filepath.Dir(mesh), n)
			if err != nil {
				return err
			}
			took = append(took, d)
			if n+1 == min(firstEdits, l.o.edits) {
				u, err := l.server.usage()
				if err != nil {
					return err
				}
				l.row.AfterFirst = mebibytes(u.Heap)
			}
		}
		return nil
	})
	l.row.Edit, l.row.EditCPU = quantiles(took), 1000*seconds/float64(l.o.edits)
	l.row.AfterEdits = mebibytes(after.Heap)
	return err
}

// timeoutOf is the timeout of a route after an edit, and editOf is the edit that it is from; 0 and less for none.
func timeoutOf(edit int) time.Duration { return 3*time.Second + time.Duration(edit)*time.Millisecond }

func editOf(timeout time.Duration) int { return int((timeout - 3*time.Second) / time.Millisecond) }

// routesBy reports whether a service calls the one at that place by the timeouts that its routes have: the second of
// the uses of a generated service has a timeout of its own.
func routesBy(service string, at, services int) bool {
	return service == serviceName((at-callSteps[0]+services)%services) ||
		service == serviceName((at-callSteps[2]+services)%services)
}

// edit changes the timeout of one route, and returns when the last proxy that calls it has acknowledged it.
func (l *load) edit(m *ir.Mesh, dir string, n int) (time.Duration, error) {
	at := (n%min(l.o.proxies, l.services) + callSteps[0]) % l.services
	called := serviceName(at)
	s := m.Service(called)
	if s == nil {
		return 0, fmt.Errorf("the mesh has no %s", called)
	}
	for i := range s.Routes {
		if t := s.Routes[i].Traffic.Timeout; t != nil {
			t.Value = ir.Duration(timeoutOf(n + 1))
		}
	}
	data, err := ir.Marshal(m)
	if err != nil {
		return 0, err
	}
	name := filepath.Join(dir, fmt.Sprintf("mesh-%d.json", n%2))
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return 0, err
	}
	acknowledged, concerned := make(chan time.Time, len(l.proxies)), 0
	for _, p := range l.proxies {
		p.whenEdited(n+1, nil)
		if !p.silent && routesBy(p.service, at, l.services) {
			concerned++
			p.whenEdited(n+1, sync.OnceFunc(func() { acknowledged <- time.Now() }))
		}
	}
	start := time.Now()
	if err := l.server.send(command{Mesh: name}); err != nil {
		return 0, err
	}
	last, late := start, time.After(patience)
	for range concerned {
		select {
		case last = <-acknowledged:
		case <-late:
			return 0, errors.New("a caller did not acknowledge an edit")
		}
	}
	return last.Sub(start), nil
}
