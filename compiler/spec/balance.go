package spec

// LoadBalancer chooses an instance.
type LoadBalancer struct {
	Pos            Pos
	Policy         Field[string]  `cue:"policy"`
	Hash           *Hash          `cue:"hash"`
	SlowStart      Field[string]  `cue:"slowStart"`
	PanicThreshold Field[float64] `cue:"panicThreshold"`
}

// Hash is what is hashed.
type Hash struct {
	Pos      Pos
	Header   Field[string] `cue:"header"`
	Cookie   Field[string] `cue:"cookie"`
	Query    Field[string] `cue:"query"`
	SourceIP Field[bool]   `cue:"sourceIP"`
	TTL      Field[string] `cue:"ttl"`
}

// Locality is which instances are near.
type Locality struct {
	Pos      Pos
	Prefer   Field[string] `cue:"prefer"`
	Failover []*Failover   `cue:"failover"`
}

// Failover of a region.
type Failover struct {
	Pos  Pos
	From Field[string] `cue:"from"`
	To   Field[string] `cue:"to"`
}
