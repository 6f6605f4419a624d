package spec

// RequestForms are forms of requests that proxies take.
type RequestForms struct {
	Pos            Pos
	EncodedSlashes Field[string] `cue:"encodedSlashes"`
	Underscores    Field[string] `cue:"underscores"`
	HTTP10         Field[bool]   `cue:"http10"`
	HeaderCase     Field[string] `cue:"headerCase"`
}
