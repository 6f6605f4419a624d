package app

import (
	"fmt"
	"net/url"
	"strings"
)

// step is one call of a chain: NAME[.PORT][:METHOD][:PATH].
type step struct {
	to, method string
	// path is with its query.
	path string
}

// nextStep reads the first step of a chain and gives what is left of it.
func nextStep(chain string) (s step, rest string, err error) {
	first, rest, _ := strings.Cut(chain, ",")
	s.to, first, _ = strings.Cut(first, ":")
	if !strings.HasPrefix(first, "/") {
		s.method, first, _ = strings.Cut(first, ":")
	}
	s.path = first
	if s.to == "" || s.path != "" && !strings.HasPrefix(s.path, "/") {
		return s, rest, fmt.Errorf("step %q: want NAME[.PORT][:METHOD][:PATH]", chain)
	}
	return s, rest, nil
}

// target is the step's path with the rest of the chain in its query.
func (s step) target(rest string) (*url.URL, error) {
	u, err := url.ParseRequestURI("/" + strings.TrimPrefix(s.path, "/"))
	if err != nil {
		return nil, err
	}
	if rest != "" {
		q := u.Query()
		q.Set("via", rest)
		u.RawQuery = q.Encode()
	}
	return u, nil
}
