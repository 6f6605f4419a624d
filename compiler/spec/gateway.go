package spec

// Gateway is a proxy at the edge.
type Gateway struct {
	Pos           Pos
	Namespace     Field[string]               `cue:"namespace"`
	Account       Field[string]               `cue:"account"`
	Listeners     map[string]*Listener        `cue:"listeners"`
	Egress        *Egress                     `cue:"egress"`
	Routes        []*Route                    `cue:"routes"`
	AllowedRoutes []*AllowedRoutes            `cue:"allowedRoutes"`
	Uses          map[string]*Use             `cue:"uses" member:"service"`
	Allow         []*Rule                     `cue:"allow"`
	Deny          []*Rule                     `cue:"deny"`
	Clients       map[string]*Client          `cue:"clients"`
	APIKeyHeader  Field[string]               `cue:"apiKeyHeader"`
	Authorizer    Field[string]               `cue:"externalAuthorization"`
	RateLimits    map[string]*ClientRateLimit `cue:"rateLimits"`
	Compression   *Compression                `cue:"compression"`
	Replicas      *Replicas                   `cue:"replicas"`
	Pods          *PodSettings                `cue:"pods"`
	Proxy         *Proxy                      `cue:"proxy"`
	Telemetry     *MemberTelemetry            `cue:"telemetry"`
	Grants        []Field[string]             `cue:"grants"`
	Silence       Silence                     `cue:"silence"`
}

// External is a service outside the mesh.
type External struct {
	Pos         Pos
	Hosts       []Field[string]  `cue:"hosts"`
	Local       Field[bool]      `cue:"local"`
	Ports       map[string]*Port `cue:"ports"`
	Via         Field[string]    `cue:"via"`
	Timeout     Field[string]    `cue:"timeout"`
	IdleTimeout Field[string]    `cue:"idleTimeout"`
	Connections *Connections     `cue:"connections"`
	Outliers    *Outliers        `cue:"outliers"`
	Retries     *Retries         `cue:"retries"`
	TLS         *ExternalTLS     `cue:"tls"`
	Silence     Silence          `cue:"silence"`
}

// ExternalTLS is how TLS is spoken with the other side.
type ExternalTLS struct {
	Pos        Pos
	Roots      Field[string] `cue:"roots"`
	ServerName Field[string] `cue:"serverName"`
	Secret     Field[string] `cue:"secret"`
}

// Egress takes calls that leave the mesh.
type Egress struct {
	Pos  Pos
	Port Field[int]    `cue:"port"`
	Host Field[string] `cue:"host"`
}
