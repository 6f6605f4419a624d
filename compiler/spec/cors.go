package spec

// CORS is which web pages may read the answers.
type CORS struct {
	Pos           Pos
	Origins       []Field[string] `cue:"origins"`
	Methods       []Field[string] `cue:"methods"`
	Headers       []Field[string] `cue:"headers"`
	ExposeHeaders []Field[string] `cue:"exposeHeaders"`
	MaxAge        Field[string]   `cue:"maxAge"`
	Credentials   Field[bool]     `cue:"credentials"`
}
