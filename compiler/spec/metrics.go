package spec

// Metrics are mesh.telemetry.metrics.
type Metrics struct {
	Pos     Pos
	Port    Field[int] `cue:"port"`
	Scraper *Scraper   `cue:"scraper"`
	Push    *Push      `cue:"push"`
}

// Push has metrics sent to the mesh's collector.
type Push struct{ Pos Pos }

// Scraper is who reads metrics.
type Scraper struct {
	Pos       Pos
	Namespace Field[string]            `cue:"namespace"`
	Pods      map[string]Field[string] `cue:"pods"`
	IPRanges  []Field[string]          `cue:"ipRanges"`
	Identity  Field[string]            `cue:"identity"`
}
