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
