package spec

// Rewrite changes what a request asks for.
type Rewrite struct {
	Pos  Pos
	Path *PathRewrite  `cue:"path"`
	Host Field[string] `cue:"host"`
}

// PathRewrite changes a path.
type PathRewrite struct {
	Pos      Pos
	Prefix   Field[string] `cue:"prefix"`
	Template Field[string] `cue:"template"`
	Regex    *RegexRewrite `cue:"regex"`
}

// RegexRewrite replaces what matches.
type RegexRewrite struct {
	Pos          Pos
	Pattern      Field[string] `cue:"pattern"`
	Substitution Field[string] `cue:"substitution"`
}
