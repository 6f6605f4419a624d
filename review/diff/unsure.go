package diff

import (
	"reflect"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/values"
)

// unsure compares what no request shows for sure, so that it is told in any case: rules about headers that proxies
// write themselves, probes of ports that are none of the service's, and rewrites by regular expressions.
func (d *differ) unsure() {
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name },
		func(name string, a, b *ir.Service) {
			if a == nil || b == nil || !d.changed[ir.ServiceRef(name)] {
				return
			}
			of := service(name)
			for _, f := range values.Differing(&uncertain{d.uncertain(a)}, &uncertain{d.uncertain(b)}) {
				d.tell(&Effect{
					Kind: NewlyAllowed, To: of, What: "rules about headers that proxies write",
					Was: orNone(f.Old),
					Is:  orNone(f.New), WasBy: a.Pos, IsBy: b.Pos,
				})
			}
			was, is := probesElsewhere(a), probesElsewhere(b)
			for _, p := range is {
				if !slices.ContainsFunc(was, func(q ir.Probe) bool { return ir.Same(p, q) }) {
					d.tell(&Effect{
						Kind: NewlyAllowed, From: []Subject{outside}, To: of, What: "probe", Was: "unset",
						Is: probeText(p), IsBy: p.Pos, WasBy: a.Pos,
					})
				}
			}
			for _, p := range was {
				if !slices.ContainsFunc(is, func(q ir.Probe) bool { return ir.Same(p, q) }) {
					d.tell(&Effect{
						Kind: NewlyDenied, From: []Subject{outside}, To: of, What: "probe",
						Was: probeText(p),
						Is:  "unset", WasBy: p.Pos, IsBy: b.Pos,
					})
				}
			}
			d.rewrites(of, a.Routes, b.Routes)
		})
	ir.Pairs(d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name },
		func(name string, a, b *ir.Gateway) {
			if a != nil && b != nil && d.changed[ir.GatewayRef(name)] {
				d.rewrites(gateway(name), a.Routes, b.Routes)
			}
		})
}

// uncertain are rules in words.
type uncertain struct {
	Rules []string `json:"rules"`
}

func (d *differ) uncertain(s *ir.Service) (out []string) {
	for _, rules := range rulesOf(s) {
		for i := range rules {
			r := rules[i]
			if r.Audit || !slices.ContainsFunc(r.Headers,
				func(h ir.StringMatch) bool { return try.Written(d.old, h.Name) || try.Written(d.new, h.Name) }) {
				continue
			}
			r.Name = ""
			out = append(out, values.Text(reflect.ValueOf(r)))
		}
	}
	return out
}

// probesElsewhere are those that no request to a port of the service is.
func probesElsewhere(s *ir.Service) []ir.Probe {
	return slices.DeleteFunc(slices.Clone(s.Probes),
		func(p ir.Probe) bool { return p.Kind != ir.HealthTCP && s.PortAt(p.Port) != nil })
}

func probeText(p ir.Probe) string { return values.Text(reflect.ValueOf(p)) }

// rewrites tells of routes of one name whose regular expression of a path is another one, if no request showed it.
func (d *differ) rewrites(of Subject, before, after []ir.Route) {
	for i := range after {
		r := &after[i]
		k := slices.IndexFunc(before, func(q ir.Route) bool { return q.Name == r.Name })
		if k < 0 {
			continue
		}
		was, is := before[k].PathRewrite(), r.PathRewrite()
		if was == nil || is == nil || was.Pattern == "" && is.Pattern == "" || ir.Same(was, is) {
			continue
		}
		if !slices.ContainsFunc(d.Effects, func(e *Effect) bool { return e.Kind == Rerouted && e.IsBy == r.Pos }) {
			d.tell(&Effect{
				Kind: Rerouted, To: of, What: "rewrite of the route " + r.Name, Was: values.Text(reflect.ValueOf(was)),
				Is: values.Text(reflect.ValueOf(is)), WasBy: before[k].Pos, IsBy: r.Pos,
			})
		}
	}
}
