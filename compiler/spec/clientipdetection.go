package spec

// ClientIPDetection is how a gateway learns where clients are.
type ClientIPDetection struct {
	Pos            Pos
	NumTrustedHops Field[int]      `cue:"numTrustedHops"`
	ProxyProtocol  Field[bool]     `cue:"proxyProtocol"`
	TrustedCIDRs   []Field[string] `cue:"trustedCIDRs"`
}
