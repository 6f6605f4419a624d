package spec

// DirectResponse is an answer of the proxy itself.
type DirectResponse struct {
	Pos    Pos
	Status Field[int]    `cue:"status"`
	Body   Field[string] `cue:"body"`
}
