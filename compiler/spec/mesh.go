package spec

// Mesh is what holds for every member.
type Mesh struct {
	Pos           Pos
	Name          Field[string]                     `cue:"name"`
	TrustDomain   Field[string]                     `cue:"trustDomain"`
	ClusterDomain Field[string]                     `cue:"clusterDomain"`
	Delivery      Field[string]                     `cue:"delivery"`
	Defaults      *TrafficDefaults                  `cue:"defaults"`
	Certificates  *Certificates                     `cue:"certificates"`
	Telemetry     *Telemetry                        `cue:"telemetry"`
	JWT           *JWT                              `cue:"jwt"`
	Authorizers   map[string]*ExternalAuthorization `cue:"externalAuthorization"`
	TrustDomains  map[string]*ForeignTrustDomain    `cue:"trustDomains"`
	Proxy         *Proxy                            `cue:"proxy"`
	Images        *Images                           `cue:"images"`
	Flux          *Flux                             `cue:"flux"`
	Limits        *Limits                           `cue:"limits"`
	RateLimit     *RateLimitService                 `cue:"rateLimit"`
	Server        *Server                           `cue:"server"`
	Operators     *Operators                        `cue:"operators"`
	Owners        map[string][]Field[string]        `cue:"owners"`
	Silence       Silence                           `cue:"silence"`
}

// Silence are reasons by the code of the warning that each turns off.
type Silence map[string]Field[string]

// TrafficDefaults are mesh.defaults.
type TrafficDefaults struct {
	Pos         Pos
	Timeout     Field[string] `cue:"timeout"`
	IdleTimeout Field[string] `cue:"idleTimeout"`
	Retries     *Retries      `cue:"retries"`
	Connections *Connections  `cue:"connections"`
}

// Images are container images.
type Images struct {
	Pos   Pos
	Meshc Field[string] `cue:"meshc"`
	Envoy Field[string] `cue:"envoy"`
}

// Certificates are mesh.certificates.
type Certificates struct {
	Pos         Pos
	Issuer      *Issuer       `cue:"issuer"`
	TrustBundle *TrustBundle  `cue:"trustBundle"`
	Lifetime    Field[string] `cue:"lifetime"`
	RenewBefore Field[string] `cue:"renewBefore"`
	RenewFor    Field[string] `cue:"renewFor"`
	Key         Field[string] `cue:"key"`
}

// Issuer is who signs.
type Issuer struct {
	Pos    Pos
	Kind   Field[string] `cue:"kind"`
	Name   Field[string] `cue:"name"`
	Signer Field[string] `cue:"signer"`
}

// TrustBundle is where pods find the roots that they trust.
type TrustBundle struct {
	Pos       Pos
	ConfigMap Field[string] `cue:"configMap"`
	Key       Field[string] `cue:"key"`
}

// Proxy is how proxies run.
type Proxy struct {
	Pos                   Pos
	Interception          Field[string]            `cue:"interception"`
	InboundPort           Field[int]               `cue:"inboundPort"`
	OutboundPort          Field[int]               `cue:"outboundPort"`
	ExcludeInboundPorts   []Field[int]             `cue:"excludeInboundPorts"`
	ExcludeOutboundPorts  []Field[int]             `cue:"excludeOutboundPorts"`
	ExcludeOutboundRanges []Field[string]          `cue:"excludeOutboundRanges"`
	UndeclaredCalls       Field[string]            `cue:"undeclaredCalls"`
	Privileged            []Field[string]          `cue:"privileged"`
	IPFamilies            []Field[string]          `cue:"ipFamilies"`
	DrainTime             Field[string]            `cue:"drainTime"`
	AdminPort             Field[int]               `cue:"adminPort"`
	HealthPort            Field[int]               `cue:"healthPort"`
	MetricsPort           Field[int]               `cue:"metricsPort"`
	CertificateDirectory  Field[string]            `cue:"certificateDirectory"`
	SecretDirectory       Field[string]            `cue:"secretDirectory"`
	Server                Field[string]            `cue:"server"`
	Requests              *RequestForms            `cue:"requests"`
	Image                 Field[string]            `cue:"image"`
	Concurrency           Field[int]               `cue:"concurrency"`
	LogLevel              Field[string]            `cue:"logLevel"`
	Resources             *ProxyResources          `cue:"resources"`
	PodLabels             map[string]Field[string] `cue:"podLabels"`
	PodAnnotations        map[string]Field[string] `cue:"podAnnotations"`
}

// ProxyResources are what the container of a proxy asks for and may take.
type ProxyResources struct {
	Pos      Pos
	Requests *ProxyAmounts `cue:"requests"`
	Limits   *ProxyAmounts `cue:"limits"`
}

// ProxyAmounts are CPU time and memory.
type ProxyAmounts struct {
	Pos    Pos
	CPU    Field[string] `cue:"cpu"`
	Memory Field[string] `cue:"memory"`
}

// Flux is where Flux looks.
type Flux struct {
	Pos       Pos
	URL       Field[string] `cue:"url"`
	Branch    Field[string] `cue:"branch"`
	Tag       Field[string] `cue:"tag"`
	Verify    *FluxVerify   `cue:"verify"`
	Path      Field[string] `cue:"path"`
	Interval  Field[string] `cue:"interval"`
	Namespace Field[string] `cue:"namespace"`
}

// FluxVerify is whose signatures Flux takes.
type FluxVerify struct {
	Pos    Pos
	Secret Field[string] `cue:"secret"`
}

// Limits that the whole mesh is held to.
type Limits struct {
	Pos      Pos
	Attempts Field[int] `cue:"attempts"`
	Series   Field[int] `cue:"series"`
}
