package spec

// Listener is where a gateway takes connections.
type Listener struct {
	Pos               Pos
	Port              Field[int]         `cue:"port"`
	Protocol          Field[string]      `cue:"protocol"`
	Hosts             []Field[string]    `cue:"hosts"`
	TLS               *ListenerTLS       `cue:"tls"`
	HTTP3             Field[bool]        `cue:"http3"`
	ClientIPDetection *ClientIPDetection `cue:"clientIPDetection"`
	RedirectTo        Field[string]      `cue:"redirectTo"`
	To                *ListenerTo        `cue:"to"`
}

// ListenerTLS ends TLS.
type ListenerTLS struct {
	Pos                Pos
	Secret             Field[string]       `cue:"secret"`
	MinVersion         Field[string]       `cue:"minVersion"`
	ClientCertificates *ClientCertificates `cue:"clientCertificates"`
}

// ClientCertificates are asked for.
type ClientCertificates struct {
	Pos      Pos
	Secret   Field[string] `cue:"secret"`
	Optional Field[bool]   `cue:"optional"`
}

// ListenerTo is where connections go.
type ListenerTo struct {
	Pos     Pos
	Service Field[string] `cue:"service" member:"service"`
	Port    Field[string] `cue:"port"`
	Version Field[string] `cue:"version"`
}

// Compression of answers.
type Compression struct {
	Pos          Pos
	Algorithms   []Field[string] `cue:"algorithms"`
	MinBytes     Field[int]      `cue:"minBytes"`
	ContentTypes []Field[string] `cue:"contentTypes"`
}
