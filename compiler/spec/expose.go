package spec

// Exposure is a route of a service at a gateway.
type Exposure struct {
	Pos     Pos
	Gateway Field[string] `cue:"gateway" member:"gateway"`
	Name    Field[string] `cue:"name"`
	Match   *Match        `cue:"match"`
	Port    Field[string] `cue:"port"`
	Rewrite *Rewrite      `cue:"rewrite"`
}

// AllowedRoutes are what others may have routes for at a gateway.
type AllowedRoutes struct {
	Pos   Pos
	From  *RouteOwners    `cue:"from"`
	Hosts []Field[string] `cue:"hosts"`
	Paths []Field[string] `cue:"paths"`
}

// RouteOwners are services by where they are written, and by their namespaces.
type RouteOwners struct {
	Pos         Pos
	Directories []Field[string] `cue:"directories"`
	Namespaces  []Field[string] `cue:"namespaces"`
}
