package app

import (
	"slices"
	"sync"
)

// kept is how many requests an application remembers, so that one which runs
// for long does not grow.
const kept = 4096

// requests are the last ones that an application saw.
type requests struct {
	mu    sync.Mutex
	list  []Report
	total int
}

func (r *requests) add(report Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == kept {
		r.list = slices.Delete(r.list, 0, kept/2)
	}
	r.list = append(r.list, report)
	r.total++
}

// Requests are those that reached the application, the last 2,048 at least, the
// oldest in front. They are recorded when they come, without the calls that
// they caused.
func (a *App) Requests() []Report {
	a.requests.mu.Lock()
	defer a.requests.mu.Unlock()
	return slices.Clone(a.requests.list)
}

// Total is how many requests ever reached the application.
func (a *App) Total() int {
	a.requests.mu.Lock()
	defer a.requests.mu.Unlock()
	return a.requests.total
}
