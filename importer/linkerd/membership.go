package linkerd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// inject is the annotation of pods and namespaces that says whether they get a proxy.
const inject = "linkerd.io/inject"

// Marks reports whether an object says that Linkerd is to give pods a proxy, or not.
func Marks(o *importer.Object) bool { return o.Metadata.Annotations[inject] != "" }

// own are the namespaces of Linkerd itself.
var own = []string{"linkerd", "linkerd-viz", "linkerd-jaeger", "linkerd-multicluster", "linkerd-cni"}

// annotation is one of pods, or else of their namespace.
func (m *reader) annotation(w *importer.Workload, name string) string {
	return cmp.Or(w.Annotations[name], m.namespaces[w.Namespace][name])
}

// membership has the workloads be members that Linkerd gives a proxy. Where neither pods of a namespace nor the
// namespace, which was not read, say it, it is taken for granted, and told.
func (m *reader) membership() {
	said := map[string]bool{} // by namespace
	for name := range m.namespaces {
		said[name] = true
	}
	for _, w := range m.Workloads {
		if w.Annotations[inject] != "" {
			said[w.Namespace] = true
		}
	}
	told := map[string]bool{}
	member := func(w *importer.Workload) bool {
		if !said[w.Namespace] {
			if !told[w.Namespace] {
				told[w.Namespace] = true
				m.Note(w.Object, "the namespace "+w.Namespace+" was not read, and no pods say "+inject+": all are taken for members")
			}
			return true
		}
		value := m.annotation(w, inject)
		return value == "enabled" || value == "ingress"
	}
	outside := map[*importer.Workload]bool{}
	for _, s := range m.Sorted() {
		switch {
		case slices.Contains(own, s.Namespace):
			m.NotCarried(s.Object, "it is a part of Linkerd")
			m.Remove(s)
		case len(s.Workloads) > 0 && !slices.ContainsFunc(s.Workloads, member):
			m.MakeExternal(s, "Linkerd gives its pods no proxy ("+inject+")")
		default:
			continue
		}
		for _, w := range s.Workloads {
			outside[w] = true // which is told
		}
	}
	m.AddCallers(m.objects, func(w *importer.Workload) bool {
		switch {
		case outside[w]:
		case slices.Contains(own, w.Namespace):
			m.NotCarried(w.Object, "it is a part of Linkerd")
		case !member(w):
			m.NotCarried(w.Object, "Linkerd gives its pods no proxy ("+inject+"), and so it is left out")
		default:
			return false
		}
		return true
	})
}

// usual are the ports that Linkerd takes for opaque by default.
var usual = []int{25, 587, 3306, 4444, 5432, 6379, 9300, 11211}

// proxy reads the annotations about the proxies of a service.
func (m *reader) proxy(s *importer.Service) {
	w := s.Workloads
	if len(w) == 0 {
		return
	}
	first := w[0]
	said := func(name string) string {
		if s.Object.Kind == "Service" && s.Object.Metadata.Annotations[config+name] != "" {
			return s.Object.Metadata.Annotations[config+name]
		}
		return m.annotation(first, config+name)
	}
	opaque, err := portList(said("opaque-ports"))
	if said("opaque-ports") == "" {
		opaque = usual
	}
	if err != nil {
		m.NotCarried(s.Object, err.Error(), "metadata", "annotations", config+"opaque-ports")
	}
	for name, p := range s.Spec.Ports {
		if slices.Contains(opaque, p.Port.Value) || slices.Contains(opaque, p.Target.Value) {
			s.Speaks(name, "tcp")
			p.Protocol, p.Upgrades = spec.Written("tcp"), nil
		} else if p.Protocol.Value == "http" {
			p.Upgrades = spec.WrittenAll("websocket") // Linkerd needs no configuration for them
		}
	}
	p := &spec.Proxy{}
	if inbound, err := portList(said("skip-inbound-ports")); err != nil {
		m.NotCarried(first.Object, err.Error(), "spec", "template")
	} else {
		for _, number := range inbound {
			p.ExcludeInboundPorts = append(p.ExcludeInboundPorts, spec.Written(number))
			for name, port := range s.Spec.Ports {
				if port.Target.Or(port.Port.Value) == number {
					port.MTLS = spec.Written("off")
					m.Note(s.Object, fmt.Sprintf("port %s is past its proxy (skip-inbound-ports): members reach it without one, and "+
						"not by the mesh", name))
				}
			}
		}
	}
	if outbound, err := portList(said("skip-outbound-ports")); err != nil {
		m.NotCarried(first.Object, err.Error(), "spec", "template")
	} else {
		for _, number := range outbound {
			p.ExcludeOutboundPorts = append(p.ExcludeOutboundPorts, spec.Written(number))
		}
	}
	if subnets := said("skip-subnets"); subnets != "" {
		p.ExcludeOutboundRanges = spec.WrittenAll(strings.Split(subnets, ",")...)
	}
	p.Resources = resources(said)
	if !importer.IsEmpty(p) {
		s.Spec.Proxy = p
	}
	m.otherSettings(s, first)
	if !m.confined[s.Namespace] && !m.confined[""] {
		s.PassUndeclared("Linkerd lets calls of which nothing is said go on")
	}
}

// resources are those of the container of a proxy; nil if nothing is said of them.
func resources(said func(name string) string) *spec.ProxyResources {
	amounts := func(kind string) *spec.ProxyAmounts {
		cpu, memory := said("proxy-cpu-"+kind), said("proxy-memory-"+kind)
		if cpu == "" && memory == "" {
			return nil
		}
		out := &spec.ProxyAmounts{}
		if cpu != "" {
			out.CPU = spec.Written(cpu)
		}
		if memory != "" {
			out.Memory = spec.Written(memory)
		}
		return out
	}
	out := &spec.ProxyResources{Requests: amounts("request"), Limits: amounts("limit")}
	if out.Requests == nil && out.Limits == nil {
		return nil
	}
	return out
}

// known are the annotations of pods that are read.
var known = []string{
	"opaque-ports", "skip-inbound-ports", "skip-outbound-ports", "skip-subnets", "default-inbound-policy",
	"proxy-cpu-request", "proxy-cpu-limit", "proxy-memory-request", "proxy-memory-limit",
}

// otherSettings tells the annotations of pods, and of their namespace, that are not read.
func (m *reader) otherSettings(s *importer.Service, w *importer.Workload) {
	all := maps.Clone(m.namespaces[w.Namespace])
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, w.Annotations)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if short, ok := strings.CutPrefix(name, config); ok && !slices.Contains(known, short) {
			m.NotCarried(w.Object, "services."+s.Name+".proxy or mesh.proxy may say it", "spec", "template", "metadata",
				"annotations", name)
		}
	}
}

// portList are the ports of "3306,8000-8010".
func portList(text string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if isRange && err == nil {
			last, err = strconv.Atoi(to)
		}
		if err != nil || first < 1 || last > 65535 || last-first > 1000 {
			return nil, fmt.Errorf("%q is not a port or a range of at most a thousand", part)
		}
		for ; first <= last; first++ {
			out = append(out, first)
		}
	}
	return out, nil
}
