package spec

// PodSettings are what the pods of a gateway or of meshc serve carry, and where they run.
type PodSettings struct {
	Pos                Pos
	Labels             map[string]Field[string]    `cue:"labels"`
	Annotations        map[string]Field[string]    `cue:"annotations"`
	NodeSelector       map[string]Field[string]    `cue:"nodeSelector"`
	Tolerations        []*Toleration               `cue:"tolerations"`
	Affinity           *Affinity                   `cue:"affinity"`
	Spread             []*TopologySpreadConstraint `cue:"topologySpreadConstraints"`
	PriorityClass      Field[string]               `cue:"priorityClassName"`
	ServiceAnnotations map[string]Field[string]    `cue:"serviceAnnotations"`
}

// Toleration is a taint of nodes that is put up with.
type Toleration struct {
	Pos      Pos
	Key      Field[string] `cue:"key"`
	Operator Field[string] `cue:"operator"`
	Taint    Field[string] `cue:"value"` // of the taint; a field Value is that of a scalar
	Effect   Field[string] `cue:"effect"`
	Seconds  Field[int]    `cue:"tolerationSeconds"`
}

// TopologySpreadConstraint is how unevenly pods may be spread over the parts of a cluster.
type TopologySpreadConstraint struct {
	Pos         Pos
	MaxSkew     Field[int]    `cue:"maxSkew"`
	TopologyKey Field[string] `cue:"topologyKey"`
	Otherwise   Field[string] `cue:"whenUnsatisfiable"`
	MinDomains  Field[int]    `cue:"minDomains"`
}
