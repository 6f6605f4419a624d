package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// edit changes the timeout of one route, and returns when the first proxy that is concerned has acknowledged it.
func (l *load) edit(m *ir.Mesh, dir string, n int) (time.Duration, error) {
	called := serviceName((n%min(l.o.proxies, l.services) + callSteps[0]) % l.services)
	s := m.Service(called)
	if s == nil {
		return 0, fmt.Errorf("the mesh has no %s", called)
	}
	for i := range s.Routes {
		if t := s.Routes[i].Traffic.Timeout; t != nil {
			t.Value = ir.Duration(3*time.Second + time.Duration(n+1)*time.Millisecond)
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
	acknowledged := make(chan time.Time, len(l.proxies))
	for _, p := range l.proxies {
		p.whenEdited(func(at time.Time) {
			select {
			case acknowledged <- at:
			default:
			}
		})
	}
	defer func() {
		for _, p := range l.proxies {
			p.whenEdited(nil)
		}
	}()
	start := time.Now()
	if err := l.server.send(command{Mesh: name}); err != nil {
		return 0, err
	}
	select {
	case at := <-acknowledged:
		return at.Sub(start), nil
	case <-time.After(patience):
		return 0, errors.New("no proxy acknowledged an edit")
	}
}
