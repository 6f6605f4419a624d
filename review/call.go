package review

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Call is a port that it calls, with what is in force where no route says otherwise.
type Call struct {
	To   string `json:"to"`
	Port string `json:"port"`
	// Worst is how long one request can be waited for, and how often it can be sent, in words; empty below HTTP.
	Worst    string    `json:"worst,omitempty"`
	Settings []Setting `json:"settings,omitempty"`
	// Routes of the callee say otherwise.
	Routes []CallRoute `json:"routes,omitempty"`
}

// CallRoute is what a route says otherwise of the calls that go by it.
type CallRoute struct {
	Name     string          `json:"name"`
	Worst    string          `json:"worst"`
	Settings []Setting       `json:"settings"`
	Pos      source.Position `json:"source,omitzero"`
}

// Setting is a value and where it was decided.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// From is a place in the spec, or "default".
	From string `json:"from"`
}

func callsOf(m *ir.Mesh, uses []ir.Use) []Call {
	var out []Call
	for i := range uses {
		use := &uses[i]
		for _, port := range use.Ports {
			out = append(out, callOf(m, use, port))
		}
	}
	return out
}

func callOf(m *ir.Mesh, use *ir.Use, port string) Call {
	c := Call{To: use.To, Port: port}
	var traffic ir.Traffic
	var routes []ir.Route
	var protocol ir.Protocol
	if use.External {
		e := m.External(use.To)
		traffic, protocol = e.Traffic, e.Port(port).Protocol
	} else {
		s := m.Service(use.To)
		traffic, protocol, routes = s.Traffic, s.Port(port).Protocol, s.Routes
	}
	p := ir.Nearest(use.Traffic, traffic, m.Defaults)
	if !protocol.IsHTTP() {
		c.Settings = settings(reflect.ValueOf(p.Bounds), nil)
		return c
	}
	c.Worst = worstOf(&p)
	c.Settings = append(settings(reflect.ValueOf(p), nil), settings(reflect.ValueOf(p.Bounds), nil)...)
	for i := range routes {
		r := &routes[i]
		if r.Answers() {
			continue
		}
		by := ir.Nearest(use.Traffic, r.Traffic, traffic, m.Defaults)
		if differing := settings(reflect.ValueOf(by), func(name string) any { return reflect.ValueOf(p).FieldByName(name).Field(0).Interface() }); len(differing) > 0 {
			c.Routes = append(c.Routes, CallRoute{r.Name, worstOf(&by), differing, r.Pos})
		}
	}
	return c
}

// worstOf is how long and how often one request is tried at worst.
func worstOf(p *ir.Policy) string {
	tries := "1 try"
	if n := p.Attempts.Value; n > 0 {
		tries = fmt.Sprintf("%d tries", n+1)
	}
	if p.Timeout.Value == 0 {
		return tries + ", and no bound in time"
	}
	return fmt.Sprintf("%s within %s", tries, p.Timeout.Value)
}

// settings are the fields of a policy that are settings: those that say something, and that are not as in another policy, if there
// is one.
func settings(policy reflect.Value, other func(name string) any) (out []Setting) {
	for i := range policy.NumField() {
		f, name := policy.Field(i), policy.Type().Field(i).Name
		if f.Kind() != reflect.Struct || f.NumField() != 2 || f.Type().Field(1).Name != "Pos" {
			continue
		}
		value, pos := f.Field(0), f.Field(1).Interface().(source.Position)
		if policy.Type() == reflect.TypeFor[ir.Policy]() && ofRetries[name] && policy.FieldByName("Attempts").Field(0).IsZero() {
			continue // nothing is sent again
		}
		if other != nil && reflect.DeepEqual(other(name), value.Interface()) || value.IsZero() && !pos.IsValid() && name != "Attempts" {
			continue
		}
		from := "default"
		if pos.IsValid() {
			from = pos.String()
		}
		out = append(out, Setting{strings.ToLower(name[:1]) + name[1:], valueText(value), from})
	}
	return out
}

// ofRetries are settings of how a request is sent again.
var ofRetries = map[string]bool{"RetryOn": true, "BackoffBase": true, "BackoffMax": true, "PerTryTimeout": true, "Hedge": true, "BudgetPercent": true, "MinConcurrency": true}

func valueText(v reflect.Value) string {
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	var list []string
	for i := range v.Len() {
		list = append(list, fmt.Sprint(v.Index(i).Interface()))
	}
	return strings.Join(list, ", ")
}
