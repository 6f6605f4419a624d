package ir

// Fault delays and aborts shares of the requests.
type Fault struct {
	// Delay holds DelayPercent of the requests back; 0 for none.
	Delay        Duration `json:"delay,omitempty"`
	DelayPercent float64  `json:"delayPercent,omitempty"`
	// AbortPercent of the requests are answered with Status, or of gRPC with
	// GRPCStatus: exactly one of them is not 0 where requests are aborted.
	AbortPercent float64 `json:"abortPercent,omitempty"`
	Status       uint16  `json:"status,omitempty"`
	GRPCStatus   uint16  `json:"grpcStatus,omitempty"`
}
