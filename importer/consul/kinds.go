package consul

import "reflect"

const group = "consul.hashicorp.com"

// entryKind is a kind of config entry: that of its custom resource, and the type of its fields.
type entryKind struct {
	kind string
	spec reflect.Type
}

// entryKinds are those of Consul by the kinds of config entries. Those without a type are told.
var entryKinds = map[string]entryKind{
	"service-defaults":            {"ServiceDefaults", reflect.TypeFor[serviceDefaults]()},
	"proxy-defaults":              {"ProxyDefaults", reflect.TypeFor[proxyDefaults]()},
	"service-router":              {"ServiceRouter", reflect.TypeFor[serviceRouter]()},
	"service-splitter":            {"ServiceSplitter", reflect.TypeFor[serviceSplitter]()},
	"service-resolver":            {"ServiceResolver", reflect.TypeFor[serviceResolver]()},
	"service-intentions":          {"ServiceIntentions", reflect.TypeFor[serviceIntentions]()},
	"ingress-gateway":             {"IngressGateway", reflect.TypeFor[ingressGateway]()},
	"jwt-provider":                {"JWTProvider", reflect.TypeFor[jwtProvider]()},
	"mesh":                        {"Mesh", reflect.TypeFor[meshSettings]()},
	"terminating-gateway":         {"TerminatingGateway", reflect.TypeFor[map[string]any]()},
	"api-gateway":                 {"APIGateway", reflect.TypeFor[map[string]any]()},
	"http-route":                  {"ConsulHTTPRoute", reflect.TypeFor[map[string]any]()},
	"tcp-route":                   {"ConsulTCPRoute", reflect.TypeFor[map[string]any]()},
	"inline-certificate":          {"InlineCertificate", reflect.TypeFor[map[string]any]()},
	"exported-services":           {"ExportedServices", reflect.TypeFor[map[string]any]()},
	"sameness-group":              {"SamenessGroup", reflect.TypeFor[map[string]any]()},
	"control-plane-request-limit": {"ControlPlaneRequestLimit", reflect.TypeFor[map[string]any]()},
}

// Kinds are those that are read, and their group.
var Kinds = kinds()

func kinds() map[string]string {
	out := map[string]string{"ServiceDefinition": group}
	for _, e := range entryKinds {
		if e.spec.Kind() == reflect.Struct {
			out[e.kind] = group
		}
	}
	return out
}

type headerEdits struct {
	Add    map[string]string `json:"add"`
	Set    map[string]string `json:"set"`
	Remove []string          `json:"remove"`
}

type definition struct {
	ID              string            `json:"id"`
	Port            int               `json:"port"`
	Address         string            `json:"address"`
	Meta            map[string]string `json:"meta"`
	Tags            []string          `json:"tags"`
	Weights         map[string]int    `json:"weights"`
	Check           any               `json:"check"`
	Checks          any               `json:"checks"`
	Token           string            `json:"token"`
	TaggedAddresses map[string]any    `json:"taggedAddresses"`
	Connect         *struct {
		Native         bool `json:"native"`
		SidecarService *struct {
			Port  int `json:"port"`
			Proxy struct {
				Mode      string         `json:"mode"`
				Config    map[string]any `json:"config"`
				Upstreams []upstream     `json:"upstreams"`
			} `json:"proxy"`
		} `json:"sidecarService"`
	} `json:"connect"`
}

type upstream struct {
	DestinationName  string         `json:"destinationName"`
	DestinationType  string         `json:"destinationType"`
	Datacenter       string         `json:"datacenter"`
	LocalBindPort    int            `json:"localBindPort"`
	LocalBindAddress string         `json:"localBindAddress"`
	Config           map[string]any `json:"config"`
}

type serviceDefaults struct {
	Protocol         string           `json:"protocol"`
	MutualTLSMode    string           `json:"mutualTLSMode"`
	Mode             string           `json:"mode"`
	Meta             map[string]any   `json:"meta"`
	TransparentProxy map[string]any   `json:"transparentProxy"`
	MeshGateway      map[string]any   `json:"meshGateway"`
	Expose           map[string]any   `json:"expose"`
	ExternalSNI      string           `json:"externalSNI"`
	UpstreamConfig   *upstreamConfigs `json:"upstreamConfig"`
	RateLimits       *struct {
		InstanceLevel struct {
			RequestsPerSecond int              `json:"requestsPerSecond"`
			RequestsMaxBurst  int              `json:"requestsMaxBurst"`
			Routes            []map[string]any `json:"routes"`
		} `json:"instanceLevel"`
	} `json:"rateLimits"`
	Destination *struct {
		Addresses []string `json:"addresses"`
		Port      int      `json:"port"`
	} `json:"destination"`
	MaxInboundConnections     int              `json:"maxInboundConnections"`
	LocalConnectTimeoutMs     int              `json:"localConnectTimeoutMs"`
	LocalRequestTimeoutMs     int              `json:"localRequestTimeoutMs"`
	BalanceInboundConnections string           `json:"balanceInboundConnections"`
	EnvoyExtensions           []map[string]any `json:"envoyExtensions"`
}

type upstreamConfigs struct {
	Defaults  *upstreamConfig   `json:"defaults"`
	Overrides []*upstreamConfig `json:"overrides"`
}

type upstreamConfig struct {
	Name               string         `json:"name"`
	ConnectTimeoutMs   int            `json:"connectTimeoutMs"`
	Protocol           string         `json:"protocol"`
	MeshGateway        map[string]any `json:"meshGateway"`
	Limits             *limits        `json:"limits"`
	PassiveHealthCheck map[string]any `json:"passiveHealthCheck"`
}

// limits bound the calls of a caller.
type limits struct {
	MaxConnections        int `json:"maxConnections"`
	MaxPendingRequests    int `json:"maxPendingRequests"`
	MaxConcurrentRequests int `json:"maxConcurrentRequests"`
}

type proxyDefaults struct {
	Config           map[string]any   `json:"config"`
	Mode             string           `json:"mode"`
	MutualTLSMode    string           `json:"mutualTLSMode"`
	Meta             map[string]any   `json:"meta"`
	TransparentProxy map[string]any   `json:"transparentProxy"`
	MeshGateway      map[string]any   `json:"meshGateway"`
	Expose           map[string]any   `json:"expose"`
	AccessLogs       map[string]any   `json:"accessLogs"`
	FailoverPolicy   map[string]any   `json:"failoverPolicy"`
	EnvoyExtensions  []map[string]any `json:"envoyExtensions"`
}

type meshSettings struct {
	TransparentProxy struct {
		MeshDestinationsOnly bool `json:"meshDestinationsOnly"`
	} `json:"transparentProxy"`
	Meta                             map[string]any `json:"meta"`
	TLS                              map[string]any `json:"tls"`
	HTTP                             map[string]any `json:"http"`
	Peering                          map[string]any `json:"peering"`
	AllowEnablingPermissiveMutualTLS bool           `json:"allowEnablingPermissiveMutualTLS"`
	ValidateClusters                 bool           `json:"validateClusters"`
}
