package spec

// Scrape is where metrics of the application itself are.
type Scrape struct {
	Pos  Pos
	Port Field[int]    `cue:"port"`
	Path Field[string] `cue:"path"`
}
