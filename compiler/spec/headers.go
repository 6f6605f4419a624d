package spec

// Headers are changes of headers.
type Headers struct {
	Pos      Pos
	Request  *HeaderEdits `cue:"request"`
	Response *HeaderEdits `cue:"response"`
}

// HeaderEdits are changes of one side's headers.
type HeaderEdits struct {
	Pos    Pos
	Set    map[string]Field[string] `cue:"set"`
	Add    map[string]Field[string] `cue:"add"`
	Remove []Field[string]          `cue:"remove"`
}
