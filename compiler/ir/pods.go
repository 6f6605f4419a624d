package ir

// GatewayPods is what the pods of a gateway carry, and on which nodes they run, in the words of Kubernetes.
type GatewayPods struct {
	// Labels and Annotations are beside those that meshc writes.
	Labels       map[string]string `json:"labels,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	Tolerations  []Toleration      `json:"tolerations,omitempty"`
	// ServiceAnnotations are of the Service by which clients reach the gateway.
	ServiceAnnotations map[string]string `json:"serviceAnnotations,omitempty"`
}

// Toleration is a taint of nodes that is put up with.
type Toleration struct {
	Key string `json:"key"`
	// Value and Effect are empty for any.
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect,omitempty"`
}
