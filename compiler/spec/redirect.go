package spec

// Redirect is an answer that names another address.
type Redirect struct {
	Pos    Pos
	Scheme Field[string] `cue:"scheme"`
	Host   Field[string] `cue:"host"`
	Port   Field[int]    `cue:"port"`
	Path   Field[string] `cue:"path"`
	Prefix Field[string] `cue:"prefix"`
	Status Field[int]    `cue:"status"`
}
