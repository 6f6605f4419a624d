package spec

// Affinity is on which nodes pods may run, and beside or apart from which other pods.
type Affinity struct {
	Pos  Pos
	Node *NodeAffinity `cue:"nodeAffinity"`
	Pod  *PodAffinity  `cue:"podAffinity"`
	Anti *PodAffinity  `cue:"podAntiAffinity"`
}

// NodeAffinity is on which nodes pods may run, and on which of them rather.
type NodeAffinity struct {
	Pos       Pos
	Required  *NodeSelector     `cue:"requiredDuringSchedulingIgnoredDuringExecution"`
	Preferred []*PreferredNodes `cue:"preferredDuringSchedulingIgnoredDuringExecution"`
}

// NodeSelector are nodes that fulfil one of the terms.
type NodeSelector struct {
	Pos   Pos
	Terms []*NodeSelectorTerm `cue:"nodeSelectorTerms"`
}

// NodeSelectorTerm is what a node fulfils: all of it.
type NodeSelectorTerm struct {
	Pos          Pos
	Requirements []*Requirement `cue:"matchExpressions"`
}

// Requirement is what a label has to be, of a node or of a pod.
type Requirement struct {
	Pos      Pos
	Key      Field[string]   `cue:"key"`
	Operator Field[string]   `cue:"operator"`
	Values   []Field[string] `cue:"values"`
}

// PreferredNodes are nodes on which pods run rather than on others.
type PreferredNodes struct {
	Pos        Pos
	Weight     Field[int]        `cue:"weight"`
	Preference *NodeSelectorTerm `cue:"preference"`
}

// PodAffinity is beside which pods, or apart from which, pods run.
type PodAffinity struct {
	Pos       Pos
	Required  []*PodAffinityTerm `cue:"requiredDuringSchedulingIgnoredDuringExecution"`
	Preferred []*PreferredPods   `cue:"preferredDuringSchedulingIgnoredDuringExecution"`
}

// PodAffinityTerm are pods that run in the same part of the cluster.
type PodAffinityTerm struct {
	Pos               Pos
	LabelSelector     *LabelSelector  `cue:"labelSelector"`
	TopologyKey       Field[string]   `cue:"topologyKey"`
	Namespaces        []Field[string] `cue:"namespaces"`
	NamespaceSelector *LabelSelector  `cue:"namespaceSelector"`
}

// PreferredPods are pods beside which, or apart from which, pods run rather than elsewhere.
type PreferredPods struct {
	Pos    Pos
	Weight Field[int]       `cue:"weight"`
	Term   *PodAffinityTerm `cue:"podAffinityTerm"`
}

// LabelSelector is what labels have to be: all of it.
type LabelSelector struct {
	Pos          Pos
	Labels       map[string]Field[string] `cue:"matchLabels"`
	Requirements []*Requirement           `cue:"matchExpressions"`
}
