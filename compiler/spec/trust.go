package spec

// ForeignTrustDomain is a trust domain besides the mesh's own.
type ForeignTrustDomain struct {
	Pos    Pos
	Bundle Field[string] `cue:"bundle"`
}
