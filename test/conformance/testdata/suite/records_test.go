//go:build conformance

package suite

import (
	"slices"
	"strings"
	"testing"
)

// record is what became of one request.
type record struct {
	Test, Request, Why string
	Right              bool
	Findings           []string
}

func (l *lab) record(t *testing.T, ok bool) {
	_, name, _ := strings.Cut(strings.TrimPrefix(t.Name(), "TestSuite/"), "/")
	l.add(name, ok, l.why(t.Name()))
}

func (l *lab) recordError(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	l.add("distribution", err == nil, why)
}

// why is what the suite said last in a test.
func (l *lab) why(test string) string {
	l.Lock()
	defer l.Unlock()
	return l.last[test]
}

func (l *lab) add(name string, ok bool, why string) {
	l.Lock()
	defer l.Unlock()
	r := record{Test: l.test, Request: name, Right: ok}
	if !ok {
		r.Why = why
		if l.world != nil {
			for _, f := range l.world.findings {
				if (l.mesh || !slices.Contains(l.usual, f)) && !slices.Contains(r.Findings, f) {
					r.Findings = append(r.Findings, f)
				}
			}
		}
	}
	for i := range l.records { // it is sent often
		if same := &l.records[i]; same.Test == r.Test && same.Request == r.Request {
			if same.Right {
				*same = r
			}
			return
		}
	}
	l.records = append(l.records, r)
}

// mirrored reports whether copies of the requests to a path go to services.
func (l *lab) mirrored(t *testing.T, services []string, path string) bool {
	l.Lock()
	defer l.Unlock()
	for _, name := range services {
		if !slices.Contains(l.steps[path], name) {
			l.last[t.Name()] = "no copy goes to " + name
			return false
		}
	}
	return true
}

// copies are the lines that the pods of a service log.
func (l *lab) copies(service string) []string {
	l.Lock()
	defer l.Unlock()
	var out []string
	for path, services := range l.steps {
		for _, name := range services {
			if name == service {
				out = append(out, "Echoing back request made to "+path+" to client")
			}
		}
	}
	return out
}
