package linkerd

import (
	"math"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type serviceProfile struct {
	Routes []struct {
		Name            string           `json:"name"`
		Condition       condition        `json:"condition"`
		IsRetryable     bool             `json:"isRetryable"`
		Timeout         string           `json:"timeout"`
		ResponseClasses []map[string]any `json:"responseClasses"`
	} `json:"routes"`
	RetryBudget *struct {
		RetryRatio          float64 `json:"retryRatio"`
		MinRetriesPerSecond int     `json:"minRetriesPerSecond"`
		TTL                 string  `json:"ttl"`
	} `json:"retryBudget"`
	DstOverrides []struct {
		Authority string            `json:"authority"`
		Weight    resource.Quantity `json:"weight"`
	} `json:"dstOverrides"`
	OpaquePorts []string `json:"opaquePorts"`
}

// condition is which requests a route of a ServiceProfile takes.
type condition struct {
	PathRegex string      `json:"pathRegex"`
	Method    string      `json:"method"`
	All       []condition `json:"all"`
	Any       []condition `json:"any"`
	Not       *condition  `json:"not"`
}

// matches are those of a condition, one for each of its alternatives; false where it cannot be said.
func (c *condition) matches() ([]*spec.Match, bool) {
	own := &spec.Match{}
	if c.Method != "" {
		own.Method = spec.Written(strings.ToUpper(c.Method))
	}
	if c.PathRegex != "" { // it is of the whole path
		text := strings.TrimSuffix(strings.TrimPrefix(c.PathRegex, "^"), "$")
		own.Path = &spec.PathMatch{Regex: spec.Written(text)}
	}
	out := []*spec.Match{own}
	if c.Not != nil {
		return nil, false
	}
	for i := range c.All {
		more, ok := c.All[i].matches()
		if !ok {
			return nil, false
		}
		if out, ok = both(out, more); !ok {
			return nil, false
		}
	}
	if len(c.Any) == 0 {
		return out, true
	}
	var any []*spec.Match
	for i := range c.Any {
		more, ok := c.Any[i].matches()
		if !ok {
			return nil, false
		}
		any = append(any, more...)
	}
	return both(out, any)
}

// both are the matches that take what one of each side takes; false where two paths would have to match at once.
func both(a, b []*spec.Match) ([]*spec.Match, bool) {
	var out []*spec.Match
	for _, one := range a {
		for _, other := range b {
			m := *one
			switch {
			case m.Path != nil && other.Path != nil && *m.Path != *other.Path, len(out) > 100:
				return nil, false
			case other.Method.IsSet() && m.Method.IsSet() && m.Method != other.Method:
				continue // nothing is both
			}
			if other.Path != nil {
				m.Path = other.Path
			}
			if other.Method.IsSet() {
				m.Method = other.Method
			}
			out = append(out, &m)
		}
	}
	return out, true
}

// profiles reads the ServiceProfiles: where there is one, Linkerd reads neither the routes nor the annotations of the
// Service.
func (m *reader) profiles() {
	for _, o := range importer.Of(m.objects, profiles, "ServiceProfile") {
		var d serviceProfile
		if !m.Decode(o, "spec", &d) {
			continue
		}
		s := m.Lookup(o.Metadata.Name, o.Metadata.Namespace)
		if s == nil {
			m.NotCarried(o, "no service that was read has the name "+o.Metadata.Name, "metadata", "name")
			continue
		}
		if len(s.Spec.Routes) > 0 || s.Spec.Timeout.IsSet() || s.Spec.Retries != nil {
			m.Note(o, "as in Linkerd it takes the place of the routes and annotations of "+s.Name)
		}
		s.Spec.Routes, s.Spec.Timeout, s.Spec.IdleTimeout, s.Spec.Retries = nil, spec.Field[string]{},
			spec.Field[string]{}, nil
		for _, text := range d.OpaquePorts {
			if number, err := strconv.Atoi(text); err == nil && s.Port(number) != "" {
				s.Speaks(s.Port(number), "tcp")
				p := s.Spec.Ports[s.Port(number)]
				p.Protocol, p.Upgrades = spec.Written("tcp"), nil
			}
		}
		to := m.overrides(o, s, &d)
		for i := range d.Routes {
			m.profileRoute(o, s, &d, i, to)
		}
		if to != nil {
			s.Spec.Routes = append(s.Spec.Routes, &spec.Route{To: to})
		}
		s.Spec.Routes = importer.Tidied(s.Spec.Routes)
	}
}

// profileRoute adds the routes of a route of a ServiceProfile.
func (m *reader) profileRoute(o *importer.Object, s *importer.Service, d *serviceProfile, i int,
	to []*spec.Destination,
) {
	r := &d.Routes[i]
	at := []string{"spec", "routes", strconv.Itoa(i)}
	matches, ok := r.Condition.matches()
	if !ok {
		m.NotCarried(o, "the language has no negation of paths and methods, and no two regular expressions at once: its requests "+
			"have neither its timeout nor its retries", append(at, "condition")...)
		return
	}
	if len(r.ResponseClasses) > 0 {
		m.NotCarried(o, "what a failure is, is not of a route: 5xx, and statuses of gRPC", append(at, "responseClasses")...)
	}
	for n, match := range matches {
		route := &spec.Route{Match: match, To: to}
		if match.Path == nil && !match.Method.IsSet() {
			route.Match = nil
		}
		if r.Name != "" {
			route.Name = spec.Written(r.Name)
			if n > 0 {
				route.Name.Value += " " + strconv.Itoa(n+1)
			}
		}
		if r.Timeout != "" {
			if length, err := time.ParseDuration(r.Timeout); err == nil && length > 0 {
				route.Timeout = spec.Written(importer.Duration(length))
			} else if n == 0 {
				m.NotCarried(o, strconv.Quote(r.Timeout)+" is not a length of time", append(at, "timeout")...)
			}
		}
		if r.IsRetryable {
			route.Retries = m.retryable(o, s, d)
		}
		s.Spec.Routes = append(s.Spec.Routes, route)
	}
}

// retryable are the retries of a route that may be retried: within the budget, 20 % unless it is said.
func (m *reader) retryable(o *importer.Object, s *importer.Service, d *serviceProfile) *spec.Retries {
	on := []string{"5xx"}
	for _, p := range s.Spec.Ports {
		if p.Protocol.Value == "grpc" {
			on = []string{"5xx", "deadline-exceeded", "internal", "unavailable"}
		}
	}
	ratio := 0.2
	if b := d.RetryBudget; b != nil {
		ratio = b.RetryRatio
	}
	if !m.told[o] {
		m.told[o] = true
		m.Note(o, "Linkerd bounds retries by the budget alone: a request that failed is sent again once, within "+
			"retryRatio; minRetriesPerSecond and ttl have nothing like them", "spec", "retryBudget")
	}
	percent := math.Round(min(ratio, 1)*10000) / 100
	return &spec.Retries{
		Attempts: spec.Written(1), On: spec.WrittenAll(on...), Budget: &spec.Budget{Percent: spec.Written(percent)},
	}
}

// overrides are the shares of other services in the requests of one; nil for none.
func (m *reader) overrides(o *importer.Object, s *importer.Service, d *serviceProfile) []*spec.Destination {
	var out []*spec.Destination
	for i, t := range d.DstOverrides {
		host, _, _ := strings.Cut(t.Authority, ":")
		out = m.share(o, s, host, t.Weight, out, "spec", "dstOverrides", strconv.Itoa(i))
	}
	return out
}

// share adds the share of a service in the requests of another. Where it was not read, none is left for it: its
// requests go to the others, which is told.
func (m *reader) share(o *importer.Object, at *importer.Service, host string, weight resource.Quantity,
	to []*spec.Destination, where ...string,
) []*spec.Destination {
	namespace, name := o.Metadata.Namespace, host
	if s := m.Lookup(host, namespace); s != nil {
		namespace, name = s.Namespace, membername.Plain(s.Name)
	} else if before, rest, dotted := strings.Cut(host, "."); dotted {
		name = before
		namespace, _, _ = strings.Cut(rest, ".")
	}
	d := m.Destination(o, namespace, name, 0, at, "http", where...)
	if d == nil {
		return to
	}
	d.Weight = spec.Written(int(weight.MilliValue()))
	if weight.MilliValue()%1000 == 0 {
		d.Weight = spec.Written(int(weight.Value()))
	}
	return append(to, d)
}

type trafficSplit struct {
	Service  string `json:"service"`
	Backends []struct {
		Service string            `json:"service"`
		Weight  resource.Quantity `json:"weight"`
	} `json:"backends"`
	Matches []map[string]any `json:"matches"`
}

// splits reads the TrafficSplits of SMI.
func (m *reader) splits() {
	for _, o := range importer.Of(m.objects, split, "TrafficSplit") {
		var d trafficSplit
		if !m.Decode(o, "spec", &d) {
			continue
		}
		s := m.Lookup(d.Service, o.Metadata.Namespace)
		if s == nil || len(d.Matches) > 0 || len(s.Spec.Routes) > 0 {
			m.NotCarried(o, "no service that was read has the name "+d.Service+", or it has routes, or the split is for some of its "+
				"requests", "spec", "service")
			continue
		}
		var to []*spec.Destination
		for i, b := range d.Backends {
			to = m.share(o, s, b.Service, b.Weight, to, "spec", "backends", strconv.Itoa(i))
		}
		if to != nil {
			s.Spec.Routes = importer.Tidied([]*spec.Route{{To: to}})
		}
	}
}
