package ir

// Proxy is how a member's proxies run.
type Proxy struct {
	Interception Interception `json:"interception"`
	// InboundPort and OutboundPort take redirected connections.
	InboundPort  uint16 `json:"inboundPort"`
	OutboundPort uint16 `json:"outboundPort"`
	// AdminPort is Envoy's, on loopback.
	AdminPort uint16 `json:"adminPort"`
	// CertificateDirectory holds tls.crt, tls.key and ca.crt.
	CertificateDirectory string `json:"certificateDirectory"`
	// Server is meshc serve, HOST:PORT.
	Server string `json:"server"`
}

// Interception is how traffic gets into a proxy.
type Interception string

// The interceptions.
const (
	InterceptRedirect Interception = "redirect" // nftables
	InterceptExplicit Interception = "explicit" // the proxy listens on the ports itself
)
