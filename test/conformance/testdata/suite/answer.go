package suite

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// answer is what a sender gets, and what the application got that answered.
type answer struct {
	status             int
	grpc               int
	location           string
	namespace, pod     string
	host, path, method string
	port               string
	headers, response  map[string][]string
}

// errClosed is a connection that ends without an answer.
type errClosed struct{ by string }

func (e *errClosed) Error() string { return "the connection is closed: " + e.by }

// sent is a request with the chance that decides where several are possible.
type sent struct {
	try.Request
	chance float64
}

// ask follows a request through the mesh, up to the application, which is the suite's own echo server.
func (w *world) ask(q sent) (*answer, error) {
	trial, err := try.Try(w.mesh, q.Request)
	if err != nil {
		return nil, err
	}
	outcomes, _, err := try.Outcomes(w.mesh, q.Request)
	if err != nil {
		return nil, err
	}
	refused := func(c try.Condition) bool { return c.Kind == try.OnCertificate && c.Refuses } // see refusesClient
	outcomes = slices.DeleteFunc(outcomes, func(o try.Outcome) bool { return slices.ContainsFunc(o.When, refused) })
	o := chosen(outcomes, q.chance)
	by := trial.Routes
	a := &answer{method: q.Method, headers: headersOf(q.Headers), response: map[string][]string{}}
	if o.Answer != nil {
		if o.Answer.Status == 0 {
			return nil, &errClosed{trial.Outcome()}
		}
		a.status, a.location, a.grpc = o.Answer.Status, o.Answer.Location, o.Answer.GRPCStatus
		allow(by, a, q.Method == http.MethodOptions)
		return a, nil
	}
	r := o.Reach
	if r.Refused != 0 {
		a.status = r.Refused
		return a, nil
	}
	if err := w.reached(a, r); err != nil {
		return nil, err
	}
	a.host, a.path = r.Host, r.Path
	if a.path == "" { // the application ends the connection
		a.host, a.path = q.HostHeader(), q.Path
	}
	for _, route := range by {
		edit(a.headers, route.Headers.Request)
	}
	a.status = echoed(trial.Policy, a.path)
	for _, text := range a.headers["x-echo-set-header"] {
		for _, one := range strings.Split(text, ",") {
			if name, value, ok := strings.Cut(one, ":"); ok {
				name = strings.ToLower(strings.TrimSpace(name))
				a.response[name] = append(a.response[name], strings.TrimSpace(value))
			}
		}
	}
	for _, route := range slices.Backward(by) {
		edit(a.response, route.Headers.Response)
	}
	allow(by, a, false)
	return a, nil
}

// chosen is the outcome that chance, from 0 to 1, leads to.
func chosen(list []try.Outcome, chance float64) try.Outcome {
	total := 0.0
	for i := range list {
		total += list[i].Chance()
	}
	for i := range list {
		if chance -= list[i].Chance() / total; chance < 0 {
			return list[i]
		}
	}
	return list[len(list)-1]
}

// reached sets which pod of the service answers.
func (w *world) reached(a *answer, r *try.Reach) error {
	for _, s := range w.mesh.Services {
		if s.Name != r.Service {
			continue
		}
		workload := s.Name
		if p := s.Workload.Pods; p != nil {
			workload = p.Name
		}
		for _, v := range s.Versions {
			if v.Name == r.Version && v.Workload != "" {
				workload = v.Workload
			}
		}
		for _, p := range s.Ports {
			if p.Name == r.Port {
				a.port = strconv.Itoa(int(p.Target))
			}
		}
		a.namespace, a.pod = s.Namespace, workload+"-5c4d-x7"
		return nil
	}
	return fmt.Errorf("there is no service %q", r.Service)
}

func headersOf(list []ir.Header) map[string][]string {
	out := map[string][]string{}
	for _, h := range list {
		out[h.Name] = append(out[h.Name], h.Value)
	}
	return out
}

func edit(headers map[string][]string, e ir.HeaderEdits) {
	for _, name := range e.Remove {
		delete(headers, name)
	}
	for _, h := range e.Set {
		headers[h.Name] = []string{h.Value}
	}
	for _, h := range e.Add {
		headers[h.Name] = append(headers[h.Name], h.Value)
	}
}

// echoed is the status of the suite's echo server, which takes its time and answers codes as the query says, through
// proxies that wait and try again as the policy says.
func echoed(p *ir.Policy, path string) int {
	_, query, _ := strings.Cut(path, "?")
	values, _ := url.ParseQuery(query)
	if delay, err := time.ParseDuration(values.Get("delay")); err == nil && p != nil {
		for _, bound := range []ir.Duration{p.Timeout.Value, p.PerTryTimeout.Value} {
			if bound.Bounds() && delay > time.Duration(bound) {
				return http.StatusGatewayTimeout
			}
		}
	}
	code, err := strconv.Atoi(values.Get("responseCode"))
	after, _ := strconv.Atoi(values.Get("succeedAfter"))
	if err != nil {
		return http.StatusOK
	}
	if p != nil && retries(p, code) >= after {
		return http.StatusOK
	}
	return code
}

// retries is how often a request is sent again that is answered with a code.
func retries(p *ir.Policy, code int) int {
	for _, on := range p.RetriesOn() {
		switch {
		case on == "5xx" && code >= 500, on == "gateway-error" && code >= 502 && code <= 504,
			string(on) == strconv.Itoa(code):
			return int(p.Attempts.Value)
		}
	}
	return 0
}

// allow adds what a browser is told of who may read the answer (Envoy's filter cors).
func allow(by []*ir.Route, a *answer, preflight bool) {
	var c *ir.CORS
	for _, route := range by {
		if route.CORS != nil {
			c = route.CORS
		}
	}
	origin := strings.Join(a.headers["origin"], ",")
	if c == nil || origin == "" || !slices.ContainsFunc(c.Origins, func(o string) bool { return isOrigin(o, origin) }) {
		return
	}
	a.response["access-control-allow-origin"] = []string{origin}
	put := func(name, value string) {
		if value != "" {
			a.response[name] = []string{value}
		}
	}
	if c.Credentials {
		put("access-control-allow-credentials", "true")
	}
	put("access-control-expose-headers", strings.Join(c.ExposeHeaders, ","))
	if !preflight {
		return
	}
	put("access-control-allow-methods", strings.Join(c.Methods, ","))
	put("access-control-allow-headers", strings.Join(c.Headers, ","))
	if c.MaxAge > 0 {
		put("access-control-max-age", strconv.Itoa(int(time.Duration(c.MaxAge).Seconds())))
	}
}

func isOrigin(pattern, origin string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	return pattern == origin || wild && strings.HasPrefix(origin, before) && strings.HasSuffix(origin, after) &&
		len(origin) > len(before)+len(after)
}

// spread is a chance for the nth of many requests, the same in each run.
func spread(n int) float64 { return rand.New(rand.NewPCG(1, uint64(n))).Float64() } // #nosec G404 -- a test
