package spec

// GatewayPods is what the pods of a gateway carry, and where they run.
type GatewayPods struct {
	Pos                Pos
	Labels             map[string]Field[string] `cue:"labels"`
	Annotations        map[string]Field[string] `cue:"annotations"`
	NodeSelector       map[string]Field[string] `cue:"nodeSelector"`
	Tolerations        []*Toleration            `cue:"tolerations"`
	ServiceAnnotations map[string]Field[string] `cue:"serviceAnnotations"`
}

// Toleration is a taint of nodes that is put up with.
type Toleration struct {
	Pos    Pos
	Key    Field[string] `cue:"key"`
	Taint  Field[string] `cue:"value"` // of the taint; a field Value is that of a scalar
	Effect Field[string] `cue:"effect"`
}
