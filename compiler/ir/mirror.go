package ir

// Mirror is a copy of a share of a route's requests, whose answers are dropped.
type Mirror struct {
	Destination
	// Percent of the requests, 0 to 100.
	Percent float64 `json:"percent"`
}
