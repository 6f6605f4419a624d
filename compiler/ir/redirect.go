package ir

// Redirect is an answer that names another address. What is empty is the
// request's own.
type Redirect struct {
	Scheme string `json:"scheme,omitempty"`
	Host   string `json:"host,omitempty"`
	Port   uint16 `json:"port,omitempty"`
	// Path is the whole new path; Prefix takes the place of what the route
	// matched. At most one is set.
	Path   string `json:"path,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	Status uint16 `json:"status"`
}

// PortAfter is the port that is named behind the host of the request, or Host, in the new address: Port, or the one of
// a new Scheme in place of one that the request named. 0 leaves what the request named.
func (r *Redirect) PortAfter(named bool) uint16 {
	switch {
	case r.Port != 0 || !named || r.Host != "":
		return r.Port
	case r.Scheme == "https":
		return 443
	case r.Scheme == "http":
		return 80
	}
	return 0
}
