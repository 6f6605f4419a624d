package spec

// Service is a member of the mesh.
type Service struct {
	Pos          Pos
	Namespace    Field[string]       `cue:"namespace"`
	Account      Field[string]       `cue:"account"`
	Workload     *Workload           `cue:"workload"`
	Create       Field[bool]         `cue:"createService"`
	Hosts        []Field[string]     `cue:"hosts"`
	Ports        map[string]*Port    `cue:"ports"`
	Versions     map[string]*Version `cue:"versions"`
	Uses         map[string]*Use     `cue:"uses" member:"service"`
	Allow        []*Rule             `cue:"allow"`
	Deny         []*Rule             `cue:"deny"`
	Authorizer   Field[string]       `cue:"externalAuthorization"`
	Routes       []*Route            `cue:"routes"`
	Expose       []*Exposure         `cue:"expose"`
	Timeout      Field[string]       `cue:"timeout"`
	IdleTimeout  Field[string]       `cue:"idleTimeout"`
	Retries      *Retries            `cue:"retries"`
	MTLS         Field[string]       `cue:"mtls"`
	LoadBalancer *LoadBalancer       `cue:"loadBalancer"`
	Connections  *Connections        `cue:"connections"`
	Outliers     *Outliers           `cue:"outliers"`
	Health       *Health             `cue:"health"`
	Probes       []*Probe            `cue:"probes"`
	Scrape       []*Scrape           `cue:"scrape"`
	Locality     *Locality           `cue:"locality"`
	RateLimit    *RateLimit          `cue:"rateLimit"`
	Rollout      Unsupported         `cue:"rollout"`
	Proxy        *Proxy              `cue:"proxy"`
	Objectives   *Objectives         `cue:"objectives"`
	Telemetry    *MemberTelemetry    `cue:"telemetry"`
	Grants       []Field[string]     `cue:"grants"`
	Silence      Silence             `cue:"silence"`
}

// Workload is where instances are.
type Workload struct {
	Pos         Pos
	Deployment  Field[string] `cue:"deployment"`
	StatefulSet Field[string] `cue:"statefulSet"`
	DaemonSet   Field[string] `cue:"daemonSet"`
	Job         Field[string] `cue:"job"`
	CronJob     Field[string] `cue:"cronJob"`
	DNS         Field[string] `cue:"dns"`
	Endpoints   []*Endpoint   `cue:"endpoints"`
	File        Field[string] `cue:"file"`
}

// Endpoint is an instance at a known address.
type Endpoint struct {
	Pos     Pos
	Address Field[string]            `cue:"address"`
	Local   Field[bool]              `cue:"local"`
	Port    Field[int]               `cue:"port"`
	Ports   map[string]Field[int]    `cue:"ports"`
	Zone    Field[string]            `cue:"zone"`
	Region  Field[string]            `cue:"region"`
	Weight  Field[int]               `cue:"weight"`
	Labels  map[string]Field[string] `cue:"labels"`
}

// Port is a port that a service listens on.
type Port struct {
	Pos      Pos
	Port     Field[int]      `cue:"port"`
	Target   Field[int]      `cue:"target"`
	Protocol Field[string]   `cue:"protocol"`
	MTLS     Field[string]   `cue:"mtls"`
	Upgrades []Field[string] `cue:"upgrades"`
}

// Version is a subset of the instances.
type Version struct {
	Pos      Pos
	Labels   map[string]Field[string] `cue:"labels"`
	Workload Field[string]            `cue:"workload"`
}

// Use is a call that is made.
type Use struct {
	Pos         Pos
	Ports       []Field[string]          `cue:"ports"`
	Timeout     Field[string]            `cue:"timeout"`
	IdleTimeout Field[string]            `cue:"idleTimeout"`
	Retries     *Retries                 `cue:"retries"`
	Connections *Connections             `cue:"connections"`
	Objectives  *Objectives              `cue:"objectives"`
	Bind        Field[string]            `cue:"bind"`
	Binds       map[string]Field[string] `cue:"binds"`
}
