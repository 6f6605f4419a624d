package ir

// DirectResponse is an answer of the proxy itself.
type DirectResponse struct {
	Status uint16 `json:"status"`
	Body   string `json:"body,omitempty"`
}
