package lever

import (
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// Concerns reports whether a lever changes anything at the proxies of a member, by the name and the identity that they
// show.
func (l *Lever) Concerns(m *ir.Mesh, kind ir.MemberKind, name string, identity spiffeid.ID) bool {
	c := member(m, kind, name, identity)
	if l.Kind == Open {
		return c.Ref == l.To
	}
	return l.concerns(m, c)
}

// Layer is what levers set in the runtime of the proxies of a member, and when the first of them ends; empty for
// nothing.
func Layer(list []Lever, m *ir.Mesh, kind ir.MemberKind, name string, identity spiffeid.ID,
) (layer map[string]any, ends time.Time) {
	layer = map[string]any{}
	c := member(m, kind, name, identity)
	calls := map[string]*envoy.Calls{}
	for i := range list {
		l := &list[i]
		if !l.concerns(m, c) {
			continue
		}
		if ends.IsZero() || l.Until.Before(ends) {
			ends = l.Until
		}
		if l.Kind == RetriesOff && l.To == (ir.Ref{}) {
			envoy.NoRetries(layer)
			continue
		}
		if calls[l.To.String()] == nil {
			calls[l.To.String()] = &envoy.Calls{}
		}
		l.join(calls[l.To.String()])
	}
	for to, changed := range calls {
		ref, err := ir.ParseRef(to)
		if err != nil {
			continue // not kept by this version
		}
		if s := m.Service(ref.Name); s != nil && ref.Kind == ir.KindService {
			changed.ToService(layer, &s.Upstream)
		} else if e := m.External(ref.Name); e != nil && ref.Kind == ir.KindExternal {
			changed.ToExternal(layer, e)
		}
	}
	return layer, ends
}

// join adds a lever to what others change of the same calls: of two the stricter one holds.
func (l *Lever) join(c *envoy.Calls) {
	switch l.Kind {
	case Shed:
		c.Refuse = max(c.Refuse, l.Percent)
	case Limit:
		if c.AtOnce == 0 || l.Requests < c.AtOnce {
			c.AtOnce = l.Requests
		}
	case RetriesOff:
		c.NoRetries = true
	}
}

// member is whose proxies show that name and identity.
func member(m *ir.Mesh, kind ir.MemberKind, name string, identity spiffeid.ID) caller {
	if kind == ir.KindGateway {
		if g := m.GatewayOf(name, identity); g != nil {
			return caller{ir.GatewayRef(g.Name), g.Uses}
		}
	} else if s := m.ServiceOf(name, identity); s != nil {
		return caller{ir.ServiceRef(s.Name), s.Uses}
	}
	return caller{}
}
