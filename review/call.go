package review

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Call is a port that it calls, with what is in force where no route of the callee says otherwise.
type Call struct {
	// To is the callee; several, separated by commas, where a gateway's route shares its requests out.
	To   string `json:"to"`
	Port string `json:"port"`
	// Bind is where the caller's proxy takes the call on its own host, "IP:PORT"; empty where it is redirected to it.
	Bind string `json:"bind,omitempty"`
	// Route is the name of the gateway's route that the requests go by; empty for a service's calls.
	Route string `json:"route,omitempty"`
	// Worst is how long one request can be waited for, and how often it can be sent, in words; empty below HTTP.
	Worst string `json:"worst,omitempty"`
	// Ends is which proxy ends a request, and when, in words; empty below HTTP.
	Ends     string    `json:"ends,omitempty"`
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

func callsOf(s ir.Scope) []Call {
	var out []Call
	outer := 0 // routes of the caller itself
	if s.Gateway != nil {
		outer = 1
	}
	var inner []ir.Call // by routes of the callee: they come before the call that goes by none
	for c := range s.Calls() {
		if len(c.By) > outer {
			inner = append(inner, c)
			continue
		}
		out = append(out, callOf(&c, inner))
		inner = nil
	}
	return append(out, udpCalls(&s)...)
}

func callOf(c *ir.Call, inner []ir.Call) Call {
	out := Call{To: strings.Join(c.Ends(), ", "), Port: c.Port.Name, Bind: c.Use.Binds[c.Port.Name]}
	if len(c.By) > 0 {
		out.Route = c.By[0].Name
	}
	p := &c.Policy
	if !c.Port.Protocol.IsHTTP() {
		out.Settings = settings(p.Bounds.Settings())
		return out
	}
	out.Worst, out.Ends = worstOf(p), endsOf(c)
	out.Settings = append(settings(inForce(p)), settings(p.Bounds.Settings())...)
	out.Settings = append(out.Settings, objectivesText(c.Use.Objectives)...)
	for i := range inner {
		by := &inner[i].Policy
		others := p.Settings()
		differing := slices.DeleteFunc(inForce(by), func(s ir.PolicySetting) bool {
			return slices.ContainsFunc(others, func(o ir.PolicySetting) bool {
				return o.Path == s.Path && reflect.DeepEqual(o.Value, s.Value)
			})
		})
		if said := settings(differing); len(said) > 0 {
			r := inner[i].By[len(inner[i].By)-1]
			out.Routes = append(out.Routes, CallRoute{r.Name, worstOf(by), said, r.Pos})
		}
	}
	return out
}

// worstOf is how long and how often one request is tried at worst.
func worstOf(p *ir.Policy) string {
	tries := "no retries, 1 request"
	if n := p.Attempts.Value; n > 0 {
		tries = fmt.Sprintf("%d retries, %d requests at most", n, n+1)
	}
	switch {
	case p.Timeout.Value.Bounds():
		return fmt.Sprintf("%s, within %s", tries, p.Timeout.Value)
	case p.PerTryTimeout.Value.Bounds():
		begins := p.PerTryTimeout.Value * ir.Duration(p.Attempts.Value+1)
		return fmt.Sprintf("%s, an answer begins within %s and may take any time", tries, begins)
	default:
		return tries + ", without a time limit"
	}
}

// inForce are the settings of requests that mean something.
func inForce(p *ir.Policy) []ir.PolicySetting {
	if p.Retrying() {
		return p.Settings()
	}
	return slices.DeleteFunc(p.Settings(), func(s ir.PolicySetting) bool {
		return strings.HasPrefix(s.Path, "retries.") && s.Path != attemptsPath && s.Path != "retries.perTryTimeout"
	})
}

// attemptsPath is the one setting whose zero is worth a line: nothing is sent again.
const attemptsPath = "retries.attempts"

// settings are those in words that somebody wrote, or whose default is not nothing.
func settings(of []ir.PolicySetting) (out []Setting) {
	for _, s := range of {
		from := "default"
		switch {
		case s.Pos.IsValid():
			from = s.Pos.String()
		case reflect.ValueOf(s.Value).IsZero() && s.Path != attemptsPath:
			continue
		}
		out = append(out, Setting{s.Path, valueText(reflect.ValueOf(s.Value)), from})
	}
	return out
}

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
