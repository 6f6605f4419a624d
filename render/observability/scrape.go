package observability

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/ir"
)

// config is prometheus.yml.
type config struct {
	RuleFiles []string `json:"rule_files"`
	Scrape    []scrape `json:"scrape_configs"`
}

// scrape is where some targets are. Fields are those of Prometheus ("Configuration", scrape_config).
type scrape struct {
	JobName    string       `json:"job_name"`
	Path       string       `json:"metrics_path"`
	Scheme     string       `json:"scheme,omitempty"`
	TLS        *tlsConfig   `json:"tls_config,omitempty"`
	Static     []static     `json:"static_configs,omitempty"`
	DNS        []dns        `json:"dns_sd_configs,omitempty"`
	Kubernetes []kubernetes `json:"kubernetes_sd_configs,omitempty"`
	Relabel    []relabel    `json:"relabel_configs,omitempty"`
}

type tlsConfig struct {
	Cert     string `json:"cert_file,omitempty"`
	Key      string `json:"key_file,omitempty"`
	Insecure bool   `json:"insecure_skip_verify"`
}

type static struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

type dns struct {
	Names []string `json:"names"`
	Type  string   `json:"type"`
	Port  uint16   `json:"port"`
}

type kubernetes struct {
	Role       string        `json:"role"`
	Namespaces namespaceList `json:"namespaces"`
}

type namespaceList struct {
	Names []string `json:"names"`
}

type relabel struct {
	Sources     []string `json:"source_labels,omitempty"`
	Regex       string   `json:"regex,omitempty"`
	Target      string   `json:"target_label,omitempty"`
	Replacement string   `json:"replacement,omitempty"`
	Action      string   `json:"action,omitempty"`
}

// Where prometheus.yml expects the certificate of the scraper.
const certificates = "/etc/prometheus/mesh"

// prometheus is the configuration of a Prometheus that is not run by its operator. All targets have the labels mesh,
// namespace and member, which is KIND/NAME.
func prometheus(m *ir.Mesh) config {
	c := config{RuleFiles: []string{rulesFile}}
	if names := namespaces(m); len(names) > 0 {
		c.Scrape = append(c.Scrape, reads(m, scrape{
			JobName: Job, Kubernetes: []kubernetes{{Role: "pod", Namespaces: namespaceList{names}}}, Relabel: podLabels(m),
		}))
	}
	c.Scrape = append(c.Scrape, servers(m)...)
	hosts := reads(m, scrape{JobName: Job + "-hosts", Relabel: []relabel{{Target: "job", Replacement: Job}}})
	for _, s := range m.Services {
		if labels := targetLabels(m, s.Namespace, ir.ServiceRef(s.Name)); s.Workload.DNS != "" {
			byName := reads(m, scrape{
				JobName: Job + "-" + s.QualifiedName(),
				DNS:     []dns{{Names: []string{s.Workload.DNS}, Type: "A", Port: s.Proxy.MetricsPort}},
				Relabel: []relabel{{Target: "job", Replacement: Job}},
			})
			for _, name := range slices.Sorted(maps.Keys(labels)) {
				byName.Relabel = append(byName.Relabel, relabel{Target: name, Replacement: labels[name]})
			}
			c.Scrape = append(c.Scrape, byName)
		} else if len(s.Workload.Endpoints) > 0 {
			group := static{Labels: labels}
			for i := range s.Workload.Endpoints {
				group.Targets = append(group.Targets, net.JoinHostPort(s.Workload.Endpoints[i].Address,
					strconv.Itoa(int(s.Proxy.MetricsPort))))
			}
			hosts.Static = append(hosts.Static, group)
		}
	}
	for _, g := range m.Gateways {
		if g.Address != "" {
			hosts.Static = append(hosts.Static, static{
				Targets: []string{net.JoinHostPort(g.Address, strconv.Itoa(int(g.Proxy.MetricsPort)))},
				Labels:  targetLabels(m, g.Namespace, ir.GatewayRef(g.Name)),
			})
		}
	}
	if hosts.Static != nil {
		c.Scrape = append(c.Scrape, hosts)
	}
	for _, s := range m.Services {
		c.Scrape = append(c.Scrape, scraped(m, s)...)
	}
	return c
}

// servers are where meshc serve has metrics of itself: its pods in the cluster, and other hosts where proxies look for
// it.
func servers(m *ir.Mesh) (out []scrape) {
	if serverInCluster(m) {
		out = append(out, reads(m, scrape{
			JobName:    ServerJob,
			Kubernetes: []kubernetes{{Role: "pod", Namespaces: namespaceList{[]string{m.SystemNamespace()}}}},
			Relabel:    serverPodLabels(m),
		}))
	}
	if hosts := serverHosts(m); hosts != nil {
		out = append(out, reads(m, scrape{
			JobName: ServerJob + "-hosts", Relabel: []relabel{{Target: "job", Replacement: ServerJob}},
			Static: []static{{Targets: hosts, Labels: map[string]string{"mesh": m.Name}}},
		}))
	}
	return out
}

// serverInCluster reports whether pods of meshc serve are compiled.
func serverInCluster(m *ir.Mesh) bool { return inCluster(m) && m.Delivery == ir.DeliveryXDS }

// serverHosts are the addresses of meshc serve outside the cluster by which members have it (proxy.server), each once.
func serverHosts(m *ir.Mesh) []string {
	if m.Delivery != ir.DeliveryXDS {
		return nil
	}
	found := map[string]bool{}
	see := func(p *ir.Proxy) {
		if host, _, err := net.SplitHostPort(p.Server); err == nil && (host != m.ServerHost() || !serverInCluster(m)) {
			found[net.JoinHostPort(host, strconv.Itoa(ir.ServerMetricsPort))] = true
		}
	}
	for _, s := range m.Services {
		see(&s.Proxy)
	}
	for _, g := range m.Gateways {
		see(&g.Proxy)
	}
	return slices.Sorted(maps.Keys(found))
}

// serverPodLabels choose the port of meshc serve where its metrics are read.
func serverPodLabels(m *ir.Mesh) []relabel {
	return []relabel{
		{Sources: []string{"__meta_kubernetes_pod_container_port_name"}, Regex: ir.ServerMetricsPortName, Action: "keep"},
		{Target: "mesh", Replacement: m.Name},
		{Sources: []string{"__meta_kubernetes_pod_name"}, Target: "pod"},
	}
}

func targetLabels(m *ir.Mesh, namespace string, member ir.Ref) map[string]string {
	return map[string]string{"mesh": m.Name, "namespace": namespace, "member": ir.Ref{Kind: member.Kind, Name: ir.PlainName(member.Name)}.ID()}
}

// reads is how the scraper of the mesh reads a target. Prometheus cannot compare SPIFFE IDs, so that it does not check
// whose metrics it reads; the proxies check who reads theirs.
func reads(m *ir.Mesh, s scrape) scrape {
	s.Path = "/metrics"
	if !m.ReadFrom().Identity.IsZero() {
		s.Scheme = "https"
		s.TLS = &tlsConfig{Cert: certificates + "/tls.crt", Key: certificates + "/tls.key", Insecure: true}
	}
	return s
}

// podLabels choose the ports of proxies among those of all pods, and name their members.
func podLabels(m *ir.Mesh) []relabel {
	out := []relabel{
		{Sources: []string{"__meta_kubernetes_pod_container_port_name"}, Regex: ir.MetricsPortName, Action: "keep"},
		{Target: "mesh", Replacement: m.Name},
		{Sources: []string{"__meta_kubernetes_namespace"}, Target: "namespace"},
		{Sources: []string{"__meta_kubernetes_pod_name"}, Target: "pod"},
	}
	for _, kind := range []ir.MemberKind{ir.KindService, ir.KindGateway} {
		out = append(out, relabel{
			Sources: []string{fmt.Sprintf("__meta_kubernetes_pod_label_meshc_dev_%s", kind)}, Regex: "(.+)",
			Target: "member", Replacement: string(kind) + "/$1",
		})
	}
	return out
}

// namespaces are those with pods of members, sorted.
func namespaces(m *ir.Mesh) []string {
	found := map[string]bool{}
	for _, s := range m.Services {
		if s.Workload.InCluster() {
			found[s.Namespace] = true
		}
	}
	for _, g := range m.Gateways {
		if g.Address == "" {
			found[g.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
