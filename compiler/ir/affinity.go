package ir

// Affinity is on which nodes pods may run, and beside or apart from which other pods. As JSON it is Kubernetes' own.
type Affinity struct {
	Node *NodeAffinity `json:"nodeAffinity,omitempty"`
	Pod  *PodAffinity  `json:"podAffinity,omitempty"`
	Anti *PodAffinity  `json:"podAntiAffinity,omitempty"`
}

// NodeAffinity is on which nodes pods may run, and on which of them rather.
type NodeAffinity struct {
	Required  *NodeSelector    `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`
	Preferred []PreferredNodes `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// NodeSelector are nodes that fulfil one of the terms.
type NodeSelector struct {
	Terms []NodeSelectorTerm `json:"nodeSelectorTerms"`
}

// NodeSelectorTerm is what a node fulfils: all of it.
type NodeSelectorTerm struct {
	Requirements []Requirement `json:"matchExpressions,omitempty"`
}

// Requirement is what a label has to be.
type Requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// PreferredNodes are nodes on which pods run rather than on others.
type PreferredNodes struct {
	Weight     int32            `json:"weight"`
	Preference NodeSelectorTerm `json:"preference"`
}

// PodAffinity is beside which pods, or apart from which, pods run.
type PodAffinity struct {
	Required  []PodAffinityTerm `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`
	Preferred []PreferredPods   `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// PodAffinityTerm are pods that run in the same part of the cluster.
type PodAffinityTerm struct {
	LabelSelector     *LabelSelector `json:"labelSelector"`
	TopologyKey       string         `json:"topologyKey"`
	Namespaces        []string       `json:"namespaces,omitempty"`
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`
}

// PreferredPods are pods beside which, or apart from which, pods run rather than elsewhere.
type PreferredPods struct {
	Weight int32           `json:"weight"`
	Term   PodAffinityTerm `json:"podAffinityTerm"`
}

// LabelSelector is what labels have to be: all of it.
type LabelSelector struct {
	Labels       map[string]string `json:"matchLabels,omitempty"`
	Requirements []Requirement     `json:"matchExpressions,omitempty"`
}
