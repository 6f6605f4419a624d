// Package ratelimit renders what the rate limit service of a mesh is to count
// (github.com/envoyproxy/ratelimit, "Configuration").
package ratelimit

import (
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// config is one domain's.
type config struct {
	Domain      string       `json:"domain"`
	Descriptors []descriptor `json:"descriptors"`
}

// descriptor is one entry of those that proxies send. Without a value each value
// has a count of its own.
type descriptor struct {
	Key         string       `json:"key"`
	Value       string       `json:"value,omitempty"`
	RateLimit   *limit       `json:"rate_limit,omitempty"`
	Descriptors []descriptor `json:"descriptors,omitempty"`
}

type limit struct {
	Unit            string `json:"unit"`
	RequestsPerUnit uint32 `json:"requests_per_unit"`
}

// Mesh is the file of the mesh's rate limit service; none when nothing is counted
// for all proxies.
func Mesh(m *ir.Mesh) ([]manifest.File, error) {
	if m.RateLimit == nil {
		return nil, nil
	}
	c := config{Domain: m.Name, Descriptors: []descriptor{}}
	for _, s := range m.Services {
		if d, counted := owner(s.Name, s.RateLimit, s.Routes); counted {
			c.Descriptors = append(c.Descriptors, d)
		}
	}
	for _, g := range m.Gateways {
		if d, counted := owner(g.Name, nil, g.Routes); counted {
			c.Descriptors = append(c.Descriptors, d)
		}
		if d, counted := clients(g); counted {
			c.Descriptors = append(c.Descriptors, d)
		}
	}
	data, err := manifest.YAML(c)
	return []manifest.File{{Path: "ratelimit/" + m.Name + ".yaml", Data: data}}, err
}

// owner has the bounds that stand in a service or gateway.
func owner(name string, own *ir.RateLimit, routes []ir.Route) (d descriptor, counted bool) {
	d = descriptor{Key: "service", Value: name}
	switch {
	case own == nil || !own.Global:
	case own.PerCaller:
		d.Descriptors = append(d.Descriptors, descriptor{Key: "caller", RateLimit: serviceLimit(own)})
	default:
		d.RateLimit = serviceLimit(own)
	}
	for i := range routes {
		if r := &routes[i]; r.RateLimit != nil && r.RateLimit.Global {
			d.Descriptors = append(d.Descriptors, descriptor{Key: "route", Value: r.Name, RateLimit: serviceLimit(r.RateLimit)})
		}
	}
	return d, d.RateLimit != nil || d.Descriptors != nil
}

// clients has the bounds on the requests that a gateway takes.
func clients(g *ir.Gateway) (d descriptor, counted bool) {
	d = descriptor{Key: "gateway", Value: g.Name}
	for i := range g.RateLimits {
		r := &g.RateLimits[i]
		if !r.Bound.Global {
			continue
		}
		one := descriptor{Key: "limit", Value: r.Name}
		switch {
		case r.PerAddress:
			one.Descriptors = []descriptor{{Key: "masked_remote_address", RateLimit: serviceLimit(&r.Bound)}}
		case r.Header != "":
			one.Descriptors = []descriptor{
				{Key: "header", RateLimit: serviceLimit(&r.Bound)},
				{Key: "without", Value: r.Header, RateLimit: serviceLimit(&r.Bound)},
			}
		default:
			one.RateLimit = serviceLimit(&r.Bound)
		}
		d.Descriptors = append(d.Descriptors, one)
	}
	return d, d.Descriptors != nil
}

// serviceLimit is a bound in the units of the rate limit service.
func serviceLimit(l *ir.RateLimit) *limit {
	units := map[time.Duration]string{
		time.Second: "second", time.Minute: "minute", time.Hour: "hour",
		24 * time.Hour: "day",
	}
	return &limit{units[time.Duration(l.Per)], l.Requests}
}
