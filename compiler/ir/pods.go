package ir

// PodSettings are what the pods of a gateway or of meshc serve carry, and on which nodes they run, in the words of
// Kubernetes.
type PodSettings struct {
	// Labels and Annotations are beside those that meshc writes.
	Labels       map[string]string `json:"labels,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	Tolerations  []Toleration      `json:"tolerations,omitempty"`
	Affinity     *Affinity         `json:"affinity,omitempty"`
	// Spread is empty for the default of [PodSettings.SpreadInForce].
	Spread []SpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// PriorityClass is empty for the cluster's default.
	PriorityClass string `json:"priorityClassName,omitempty"`
	// ServiceAnnotations are of the Service of the gateway or of meshc serve.
	ServiceAnnotations map[string]string `json:"serviceAnnotations,omitempty"`
}

// Toleration is a taint of nodes that is put up with.
type Toleration struct {
	// Key is empty for any.
	Key string `json:"key,omitempty"`
	// Operator is "Exists" or "Equal".
	Operator string `json:"operator"`
	// Effect is empty for any.
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect,omitempty"`
	// Seconds is how long a taint that evicts is put up with; nil for ever.
	Seconds *int64 `json:"tolerationSeconds,omitempty"`
}

// SpreadConstraint is how unevenly pods may be spread over the parts of a cluster.
type SpreadConstraint struct {
	MaxSkew     int32  `json:"maxSkew"`
	TopologyKey string `json:"topologyKey"`
	// WhenUnsatisfiable is "DoNotSchedule" or "ScheduleAnyway".
	WhenUnsatisfiable string `json:"whenUnsatisfiable"`
	// MinDomains is 0 for Kubernetes' default.
	MinDomains int32 `json:"minDomains,omitempty"`
}

// SpreadInForce is how the pods are spread. By default they are on different nodes and in different zones where there
// are several, and run where there are not.
func (p *PodSettings) SpreadInForce() []SpreadConstraint {
	if len(p.Spread) > 0 {
		return p.Spread
	}
	return []SpreadConstraint{
		{MaxSkew: 1, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: "ScheduleAnyway"},
		{MaxSkew: 1, TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: "ScheduleAnyway"},
	}
}
