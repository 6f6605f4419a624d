package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/review/admin"
	"github.com/meshc/meshc/review/bundle"
)

// Proxy is what the administration of an Envoy says.
type Proxy struct {
	// Node is its id, and Member whose proxy it is.
	Node     string
	Member   ir.Ref
	Instance string
	Admin    string
	// Refused is set where nothing listens at its address, and Err is why it told nothing.
	Refused bool
	Err     error
	Version string
	// Uptime is how long it runs.
	Uptime   time.Duration
	Clusters []Cluster
	Leaves   []Leaf
	// Grown is by how much its counters of failed handshakes grew within [between].
	Grown map[string]uint64
}

// Cluster are the instances of a callee, as a proxy has them.
type Cluster struct {
	// Name is CALLEE|PORT, with |VERSION for a version; see render/envoy.
	Name  string
	Hosts []Host
}

// Host is an instance as a caller's proxy sees it: its counts since the proxy knows it, and by how much they grew
// within [between].
type Host struct {
	Address string
	Port    uint16
	Zone    string
	Healthy bool
	Since   Counts
	Grown   Counts
}

// Counts are those of a host.
type Counts struct{ Requests, Errors, Timeouts, Unconnected uint64 }

// Leaf is a certificate that a proxy shows.
type Leaf struct {
	URI         string
	From, Until time.Time
}

// between is the time between two looks at what a proxy counts.
const between = bundle.Between

// adminAddress is where a proxy's administration may be asked.
type adminAddress struct {
	node    string // empty where it is not known
	address string
}

// adminAddresses are those of proxies on this host: those that were named, and those of endpoints on loopback addresses
// of their own, as "meshc up" places them. A bundle has them all.
func adminAddresses(o *Observations, from *Sources) (out []adminAddress) {
	for _, a := range from.Envoys {
		out = append(out, adminAddress{"", admin.Trimmed(a)})
	}
	if o.Mesh == nil || from.Bundle != nil {
		return out
	}
	for _, scope := range o.Mesh.Scopes() {
		member := scope.Member()
		var instances []string
		if s := scope.Service; s != nil {
			for i := range s.Workload.Endpoints {
				instances = append(instances, s.Workload.Endpoints[i].Name)
			}
		} else {
			instances = []string{"a"}
		}
		for _, instance := range instances {
			at := scope.Loopback(instance)
			if ip, err := netip.ParseAddr(at); err == nil && ip.IsLoopback() && ip != ownLoopback && ip.Is4() {
				out = append(out, adminAddress{
					envoy.NodeID(member.Kind, member.Name, instance),
					net.JoinHostPort(at, strconv.Itoa(int(member.Proxy.AdminPort))),
				})
			}
		}
	}
	return out
}

// ownLoopback is the address that every host has: what listens there need not be of the mesh.
var ownLoopback = netip.MustParseAddr("127.0.0.1")

// askProxies asks all, side by side. One that says to be another proxy than it is asked as is left out.
func (s *Sources) askProxies(ctx context.Context, list []adminAddress) []Proxy {
	ctx, cancel := context.WithTimeout(ctx, proxyTime+between)
	defer cancel()
	asked := make([]*Proxy, len(list))
	var wait sync.WaitGroup
	for i, a := range list {
		wait.Go(func() { asked[i] = s.askProxy(ctx, a) })
	}
	wait.Wait()
	var out []Proxy
	for i, p := range asked {
		if kind, name, instance, err := envoy.ParseNodeID(p.Node); err == nil &&
			(list[i].node == "" || list[i].node == p.Node) {
			p.Member, p.Instance = ir.Ref{Kind: kind, Name: name}, instance
			out = append(out, *p)
		}
	}
	return out
}

// askProxy asks twice, to see what grows.
func (s *Sources) askProxy(ctx context.Context, at adminAddress) *Proxy {
	p := &Proxy{Node: at.node, Admin: at.address}
	var info struct {
		Version string `json:"version"`
		Uptime  string `json:"uptime_current_epoch"`
		Node    struct {
			ID string `json:"id"`
		} `json:"node"`
	}
	if p.Err = s.json(ctx, at.address, "/server_info", &info); p.Err != nil {
		p.Refused = errors.Is(p.Err, syscall.ECONNREFUSED)
		return p
	}
	p.Node = info.Node.ID
	p.Uptime, _ = time.ParseDuration(info.Uptime) // or 0
	if parts := strings.Split(info.Version, "/"); len(parts) > 1 {
		p.Version = parts[1]
	}
	first, stats := s.clustersOf(ctx, at.address), s.statsOf(ctx, at.address)
	p.Leaves = s.leavesOf(ctx, at.address)
	if s.Bundle == nil {
		select {
		case <-ctx.Done():
		case <-time.After(between):
		}
	}
	second := *s
	second.later = true
	p.Clusters, p.Grown = second.clustersOf(ctx, at.address), map[string]uint64{}
	for name, n := range second.statsOf(ctx, at.address) {
		if was, had := stats[name]; had && n > was {
			p.Grown[name] = n - was
		}
	}
	p.compare(first)
	return p
}

// compare says by how much the counts of hosts grew.
func (p *Proxy) compare(before []Cluster) {
	had := map[string]Counts{}
	key := func(c *Cluster, h *Host) string { return c.Name + " " + h.Address + ":" + strconv.Itoa(int(h.Port)) }
	for i := range before {
		for k := range before[i].Hosts {
			had[key(&before[i], &before[i].Hosts[k])] = before[i].Hosts[k].Since
		}
	}
	for i := range p.Clusters {
		for k := range p.Clusters[i].Hosts {
			h := &p.Clusters[i].Hosts[k]
			was := had[key(&p.Clusters[i], h)]
			grew := func(is, was uint64) uint64 { return is - min(is, was) }
			h.Grown = Counts{
				grew(h.Since.Requests, was.Requests), grew(h.Since.Errors, was.Errors),
				grew(h.Since.Timeouts, was.Timeouts), grew(h.Since.Unconnected, was.Unconnected),
			}
		}
	}
}

// number is one of Envoy's, which writes large ones as text.
type number uint64

func (n *number) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseUint(strings.Trim(string(text), `"`), 10, 64)
	*n = number(v)
	return err
}

// clustersOf is GET /clusters?format=json (envoy.admin.v3.Clusters).
func (s *Sources) clustersOf(ctx context.Context, address string) (out []Cluster) {
	var all struct {
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string `json:"address"`
						Port    uint16 `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
				Stats []struct {
					Name  string `json:"name"`
					Value number `json:"value"`
				} `json:"stats"`
				Health struct {
					EDS     string `json:"eds_health_status"`
					Active  bool   `json:"failed_active_health_check"`
					Outlier bool   `json:"failed_outlier_check"`
				} `json:"health_status"`
				Locality struct {
					Zone string `json:"zone"`
				} `json:"locality"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if s.json(ctx, address, "/clusters?format=json", &all) != nil {
		return nil // it has gone meanwhile
	}
	for _, c := range all.Clusters {
		one := Cluster{Name: c.Name}
		for _, h := range c.Hosts {
			host := Host{Address: h.Address.Socket.Address, Port: h.Address.Socket.Port, Zone: h.Locality.Zone}
			host.Healthy = h.Health.EDS != "UNHEALTHY" && !h.Health.Active && !h.Health.Outlier
			for _, s := range h.Stats {
				switch s.Name {
				case "rq_total":
					host.Since.Requests = uint64(s.Value)
				case "rq_error":
					host.Since.Errors = uint64(s.Value)
				case "rq_timeout":
					host.Since.Timeouts = uint64(s.Value)
				case "cx_connect_fail":
					host.Since.Unconnected = uint64(s.Value)
				}
			}
			one.Hosts = append(one.Hosts, host)
		}
		out = append(out, one)
	}
	return out
}

// statsOf are the counters of failed handshakes, of GET /stats.
func (s *Sources) statsOf(ctx context.Context, address string) map[string]uint64 {
	var all struct {
		Stats []struct {
			Name  string `json:"name"`
			Value number `json:"value"`
		} `json:"stats"`
	}
	if s.json(ctx, address, "/stats?format=json&filter=ssl", &all) != nil {
		return nil
	}
	out := make(map[string]uint64, len(all.Stats))
	for _, s := range all.Stats {
		if s.Name != "" {
			out[s.Name] = uint64(s.Value)
		}
	}
	return out
}

// leavesOf are the certificates of GET /certs.
func (s *Sources) leavesOf(ctx context.Context, address string) (out []Leaf) {
	var all struct {
		Certificates []struct {
			Chain []struct {
				Names []struct {
					URI string `json:"uri"`
				} `json:"subject_alt_names"`
				From  time.Time `json:"valid_from"`
				Until time.Time `json:"expiration_time"`
			} `json:"cert_chain"`
		} `json:"certificates"`
	}
	if s.json(ctx, address, "/certs", &all) != nil {
		return nil
	}
	for _, c := range all.Certificates {
		if len(c.Chain) == 0 {
			continue
		}
		leaf := Leaf{From: c.Chain[0].From, Until: c.Chain[0].Until}
		for _, n := range c.Chain[0].Names {
			if n.URI != "" {
				leaf.URI = n.URI
			}
		}
		out = append(out, leaf)
	}
	return out
}
