package try

import (
	"net/http"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// preflight reports whether the request is a browser's question which pages may read answers (Fetch standard, 3.2.2)
// that a route with cors answers itself, whatever page asks; what the routes say besides is then asked of nobody.
// Where the last route answers every request by a redirect or by itself, it answers this one too.
func (r *run) preflight(at string, by []*ir.Route, q *message) bool {
	var cors *ir.Route
	for _, route := range by { // the nearest to the service decides
		if route.CORS != nil {
			cors = route
		}
	}
	said := func(name string) bool { return strings.Join(q.values(name), ",") != "" }
	if cors == nil || by[len(by)-1].Answers() || q.method != http.MethodOptions || !said("origin") ||
		!said("access-control-request-method") {
		return false
	}
	r.step(at, cors.Pos, "answers the preflight request itself, by cors of the route %q", cors.Name)
	r.answer(at, http.StatusOK)
	return true
}
