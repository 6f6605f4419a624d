package app

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// steering is what a request asks of the application; see the package.
type steering struct {
	via    []string
	fail   int
	key    string
	status int
	reset  bool
	delay  time.Duration
	at     string
	read   bool
	stream time.Duration
	// headers and filled are the number of headers to add to the answer, and the size of each.
	headers, filled int
}

func readSteering(r *http.Request) (steering, error) {
	query := r.URL.Query()
	get := func(name string) string {
		if v := query.Get(name); v != "" {
			return v
		}
		return r.Header.Get("x-" + name)
	}
	s := steering{
		via: append(query["via"], r.Header.Values("x-via")...), key: get("key"),
		reset: get("reset") == "true", at: get("at"), read: get("read") == "true",
	}
	if s.key == "" {
		s.key = r.Header.Get("x-request-id")
	}
	var err error
	if v := get("fail"); v != "" {
		if s.fail, err = strconv.Atoi(v); err != nil {
			return s, fmt.Errorf("fail=%q is not a number", v)
		}
	}
	for name, to := range map[string]*int{"headers": &s.headers, "filled": &s.filled} {
		if v := get(name); v != "" {
			if *to, err = strconv.Atoi(v); err != nil || *to < 1 || *to > 1<<20 {
				return s, fmt.Errorf("%s=%q is not a number from 1 to %d", name, v, 1<<20)
			}
		}
	}
	if v := get("status"); v != "" {
		if s.status, err = strconv.Atoi(v); err != nil || s.status < 200 || s.status > 599 {
			return s, fmt.Errorf("status=%q is not an HTTP status", v)
		}
	}
	for name, into := range map[string]*time.Duration{"delay": &s.delay, "stream": &s.stream} {
		if v := get(name); v != "" {
			if *into, err = time.ParseDuration(v); err != nil {
				return s, fmt.Errorf("%s=%q is not a duration", name, v)
			}
		}
	}
	return s, nil
}

// fill adds the headers that were asked for.
func (s steering) fill(h http.Header) {
	for i := range s.headers {
		h.Set(fmt.Sprintf("x-filled-%d", i), strings.Repeat("x", max(1, s.filled)))
	}
}

// wait reports whether the caller was still there after the delay.
func wait(ctx context.Context, delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// failures counts the requests that failed, by their key.
type failures struct {
	mu    sync.Mutex
	count map[string]int
}

// status is that of a failure which is due, or 0.
func (f *failures) status(s steering) int {
	if s.fail <= 0 {
		if s.reset {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.count = map[string]int{}
	}
	if f.count[s.key] >= s.fail {
		delete(f.count, s.key)
		return 0
	}
	f.count[s.key]++
	if s.status != 0 {
		return s.status
	}
	return http.StatusServiceUnavailable
}
