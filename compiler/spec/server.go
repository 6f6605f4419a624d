package spec

// Server is mesh.server: how meshc serve treats the proxies.
type Server struct {
	Pos    Pos
	Limits *ServerLimits `cue:"limits"`
	Except *Except       `cue:"except"`
	Pods   *PodSettings  `cue:"pods"`
}

// ServerLimits bound what one identity takes of the server, and what clients without one take.
type ServerLimits struct {
	Pos          Pos
	Instances    Field[int] `cue:"instances"`
	Connections  Field[int] `cue:"connections"`
	LogLines     Field[int] `cue:"logLines"`
	RefusalBytes Field[int] `cue:"refusalBytes"`

	ConnectionsPerAddress Field[int] `cue:"connectionsPerAddress"`
	HandshakesPerAddress  Field[int] `cue:"handshakesPerAddress"`
	OpenConnections       Field[int] `cue:"openConnections"`
	OpenHandshakes        Field[int] `cue:"openHandshakes"`
}

// Except are the reasons why no change waits for a member's proxies, by the members' names.
type Except struct {
	Pos      Pos
	Services map[string]Field[string] `cue:"services" member:"service"`
	Gateways map[string]Field[string] `cue:"gateways" member:"gateway"`
}
