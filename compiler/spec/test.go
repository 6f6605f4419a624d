package spec

// Test is a request and the answer that it must get.
type Test struct {
	Pos     Pos
	From    *TestSender  `cue:"from"`
	Request *TestRequest `cue:"request"`
	Expect  *Expectation `cue:"expect"`
}

// TestSender is who sends a test's request.
type TestSender struct {
	Pos     Pos
	Service Field[string] `cue:"service" member:"service"`
	Gateway Field[string] `cue:"gateway" member:"gateway"`
}

// TestRequest is what a test sends.
type TestRequest struct {
	Pos     Pos
	To      Field[string]            `cue:"to" member:"service"`
	Host    Field[string]            `cue:"host"`
	Port    Field[string]            `cue:"port"`
	Path    Field[string]            `cue:"path"`
	Method  Field[string]            `cue:"method"`
	Headers map[string]Field[string] `cue:"headers"`
	JWT     map[string]Field[string] `cue:"jwt"`
}

// Expectation is what must become of a test's request.
type Expectation struct {
	Pos     Pos
	Allowed Field[bool]     `cue:"allowed"`
	Service Field[string]   `cue:"service" member:"service"`
	Version Field[string]   `cue:"version"`
	Unless  []Field[string] `cue:"unless"`
}
