package observability

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/ir"
)

// scraped are where the metrics of the applications of a service are, through its proxies. Such targets have the label
// job="NAMESPACE/NAME", as instance the address of the application, and metrics_path, by which two of one port differ.
func scraped(m *ir.Mesh, s *ir.Service) (out []scrape) {
	for i := range s.Scrape {
		out = append(out, scrapedAt(m, s, &s.Scrape[i]))
	}
	return out
}

func scrapedAt(m *ir.Mesh, s *ir.Service, of *ir.Scrape) scrape {
	one := reads(m, scrape{JobName: s.QualifiedName() + of.At()})
	one.Path = of.At()
	labels := targetLabels(m, s.Namespace, ir.ServiceRef(s.Name))
	switch {
	case s.Workload.InCluster():
		one.Kubernetes = []kubernetes{{Role: "pod", Namespaces: namespaceList{[]string{s.Namespace}}}}
		one.Relabel = append([]relabel{{
			Sources: []string{"__meta_kubernetes_pod_container_port_name"}, Regex: ir.MetricsPortName, Action: "keep",
		}}, scrapedPods(s)...)
	case s.Workload.DNS != "":
		one.DNS = []dns{{Names: []string{s.Workload.DNS}, Type: "A", Port: s.Proxy.MetricsPort}}
	default:
		group := static{Labels: labels}
		for i := range s.Workload.Endpoints {
			group.Targets = append(group.Targets,
				net.JoinHostPort(s.Workload.Endpoints[i].Address, strconv.Itoa(int(s.Proxy.MetricsPort))))
		}
		one.Static, labels = []static{group}, nil
	}
	one.Relabel = slices.Concat(one.Relabel, scrapedLabels(s, of, labels))
	return one
}

// scrapedPods keep the pods of the service.
func scrapedPods(s *ir.Service) []relabel {
	return []relabel{
		{
			Sources: []string{"__meta_kubernetes_pod_label_meshc_dev_service"}, Regex: ir.PlainName(s.Name),
			Action: "keep",
		},
		{Sources: []string{"__meta_kubernetes_pod_name"}, Target: "pod"},
	}
}

// scrapedLabels are those of the application.
func scrapedLabels(s *ir.Service, of *ir.Scrape, labels map[string]string) []relabel {
	out := []relabel{
		{Target: "job", Replacement: s.Namespace + "/" + ir.PlainName(s.Name)},
		{Target: "metrics_path", Replacement: of.Path},
		{
			Sources: []string{"__address__"}, Regex: "(.+):[0-9]+", Target: "instance",
			Replacement: fmt.Sprintf("$1:%d", of.Port),
		},
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, relabel{Target: name, Replacement: labels[name]})
	}
	return out
}

// scrapedEndpoints have the operator's Prometheus read the metrics of the applications of pods.
func scrapedEndpoints(m *ir.Mesh) (out []any) {
	for _, s := range m.Services {
		if !s.Workload.InCluster() {
			continue
		}
		labels := targetLabels(m, s.Namespace, ir.ServiceRef(s.Name))
		keep := relabel{Sources: []string{"__meta_kubernetes_namespace"}, Regex: s.Namespace, Action: "keep"}
		for i := range s.Scrape {
			of := &s.Scrape[i]
			rules := slices.Concat([]relabel{keep}, scrapedPods(s), scrapedLabels(s, of, labels))
			endpoint := podEndpoint(m, ir.MetricsPortName, operatorRelabelings(rules))
			endpoint["path"] = of.At()
			out = append(out, endpoint)
		}
	}
	return out
}
