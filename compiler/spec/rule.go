package spec

// Rule is a rule of allow or deny.
type Rule struct {
	Pos       Pos
	Name      Field[string]           `cue:"name"`
	From      *Peers                  `cue:"from"`
	Ports     []Field[string]         `cue:"ports"`
	Listeners []Field[string]         `cue:"listeners"`
	Hosts     []Field[string]         `cue:"hosts"`
	Methods   []Field[string]         `cue:"methods"`
	Paths     []Field[string]         `cue:"paths"`
	GRPC      *GRPCMatch              `cue:"grpc"`
	Headers   map[string]*StringMatch `cue:"headers"`
	JWT       *JWTRule                `cue:"jwt"`
	Until     Field[string]           `cue:"until"`
	Mode      Field[string]           `cue:"mode"`
}

// Peers are callers.
type Peers struct {
	Pos          Pos
	Services     []Field[string] `cue:"services" member:"service"`
	Gateways     []Field[string] `cue:"gateways" member:"gateway"`
	Namespaces   []Field[string] `cue:"namespaces"`
	Identities   []Field[string] `cue:"identities"`
	Anyone       Field[bool]     `cue:"anyone"`
	Plaintext    Field[bool]     `cue:"plaintext"`
	Certificates []Field[string] `cue:"certificates"`
	Clients      []Field[string] `cue:"clients"`
	IPRanges     []Field[string] `cue:"ipRanges"`
}
