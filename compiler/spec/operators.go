package spec

// Operators are mesh.operators: who may look into the running mesh and act on it.
type Operators struct {
	Pos        Pos
	Identities []Field[string]      `cue:"identities"`
	Kubernetes *KubernetesOperators `cue:"kubernetes"`
}

// KubernetesOperators are those whom Kubernetes knows.
type KubernetesOperators struct {
	Pos    Pos
	Users  []Field[string] `cue:"users"`
	Groups []Field[string] `cue:"groups"`
}
