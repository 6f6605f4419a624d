package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/kustomize/kyaml/yaml/merge2"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// Injector adds the sidecars of a mesh to the manifests of its workloads.
type Injector struct {
	Mesh *ir.Mesh
	// Namespace is that of manifests which name none.
	Namespace string
	// Proxy is what the proxies of a member start from.
	Proxy func(scope ir.Scope) (Proxy, error)
}

// Inject is a stream of YAML documents with a sidecar in each workload that the mesh
// knows, as the Kustomize component of its namespace adds it (the same strategic merge
// patch), and more that only who sees the workload can do: its probes by TCP become
// those that the proxy makes, and a container that requests reach, and that says
// nothing of its end, goes on for a while when its pod is to end, until no caller sends
// it any. Everything else, and what has all this already, stays as it is, byte for byte.
//
// It is an error when the kubelet could not make a probe under mutual TLS.
func (i *Injector) Inject(stream []byte) ([]byte, error) {
	var out bytes.Buffer
	var errs []error
	for _, part := range documents(stream) {
		changed, err := i.document(part.text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out.Write(part.separator)
		out.Write(changed)
	}
	return out.Bytes(), errors.Join(errs...)
}

// part is a document of a stream with the line that separates it from the one before.
type part struct{ separator, text []byte }

// documents takes a stream apart (YAML 1.2, 9.1.4: a line that is "---", or begins
// with it and a space).
func documents(stream []byte) []part {
	parts := []part{{}}
	for line := range bytes.Lines(stream) {
		word := bytes.TrimRight(line, " \t\r\n")
		if bytes.Equal(word, []byte("---")) || bytes.HasPrefix(word, []byte("--- #")) {
			parts = append(parts, part{separator: line})
			continue
		}
		last := &parts[len(parts)-1]
		last.text = append(last.text, line...)
	}
	return parts
}

// document is one document with its sidecars.
func (i *Injector) document(text []byte) ([]byte, error) {
	node, err := kyaml.Parse(string(text))
	if err != nil || node.IsNilOrEmpty() || node.YNode().Kind != kyaml.MappingNode {
		return text, nil // it is no manifest, and not ours to judge
	}
	before, err := node.MarshalJSON()
	if err != nil {
		return text, nil
	}
	if err := i.object(node); err != nil {
		return nil, err
	}
	after, err := node.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if bytes.Equal(before, after) {
		return text, nil
	}
	changed, err := node.String()
	return []byte(changed), err
}

// object adds the sidecar to a workload, or to those of a List.
func (i *Injector) object(node *kyaml.RNode) error {
	if node.GetKind() == "List" {
		items, err := node.Pipe(kyaml.Lookup("items"))
		if err != nil || items == nil {
			return nil
		}
		elements, err := items.Elements()
		if err != nil {
			return nil
		}
		var errs []error
		for _, item := range elements {
			errs = append(errs, i.object(item))
		}
		return errors.Join(errs...)
	}
	service := i.service(node)
	if service == nil {
		return nil
	}
	scope := i.Mesh.ServiceScope(service)
	proxy, err := i.Proxy(scope)
	if err != nil {
		return err
	}
	data, err := manifest.YAML(sidecar(scope, proxy))
	if err != nil {
		return err
	}
	patch, err := kyaml.Parse(string(data))
	if err != nil {
		return err
	}
	// The name and the version are the team's own.
	if err := patch.PipeE(kyaml.Clear("metadata")); err != nil {
		return err
	}
	merged, err := merge2.Merge(patch, node, kyaml.MergeOptions{ListIncreaseDirection: kyaml.MergeOptionsListPrepend})
	if err != nil {
		return err
	}
	node.SetYNode(merged.YNode())
	return i.containers(node, service)
}

// service is the one whose pods a workload runs; nil for none.
func (i *Injector) service(node *kyaml.RNode) *ir.Service {
	kind := ir.PodsKind(node.GetKind())
	if group, ok := groups[kind]; !ok || node.GetApiVersion() != group+"/v1" {
		return nil
	}
	namespace := node.GetNamespace()
	if namespace == "" {
		namespace = i.Namespace
	}
	for _, s := range i.Mesh.Services {
		if s.Namespace == namespace && s.Workload.InCluster() && s.Workload.Pods.Kind == kind && slices.Contains(s.PodsNames(), node.GetName()) {
			return s
		}
	}
	return nil
}

// containers looks after the team's own containers in a workload.
func (i *Injector) containers(node *kyaml.RNode, s *ir.Service) error {
	path := []string{"spec", "template", "spec", "containers"}
	if s.Workload.Pods.Kind == ir.CronJob {
		path = append([]string{"spec", "jobTemplate"}, path...)
	}
	list, err := node.Pipe(kyaml.Lookup(path...))
	if err != nil || list == nil {
		return nil // the API server says that there is none
	}
	elements, err := list.Elements()
	if err != nil {
		return nil
	}
	var errs []error
	for _, container := range elements {
		name, _ := container.GetString("name")
		where := fmt.Sprintf("container %s of %s %s/%s", name, s.Workload.Pods.Kind, s.Namespace, node.GetName())
		errs = append(errs, probes(container, where, s), lastRequests(container, s))
	}
	return errors.Join(errs...)
}

// ending is how long a container goes on that is told to end, in seconds: its callers
// have heard of it by then.
const ending = 5

// lastRequests has a container of a service that is called wait before it is told to
// end, unless it says itself what it does then.
func lastRequests(container *kyaml.RNode, s *ir.Service) error {
	if len(s.Ports) == 0 {
		return nil
	}
	if hook, err := container.Pipe(kyaml.Lookup("lifecycle", "preStop")); err != nil || hook != nil {
		return err
	}
	sleep, err := kyaml.Parse(fmt.Sprintf("sleep: {seconds: %d}", ending))
	if err != nil {
		return err
	}
	return container.PipeE(kyaml.LookupCreate(kyaml.MappingNode, "lifecycle"), kyaml.SetField("preStop", sleep))
}

// probeFields are the fields of a container that have probes of the kubelet.
var probeFields = []string{"startupProbe", "readinessProbe", "livenessProbe"}

// probes holds the probes of a container against those that the mesh lets in, and has
// the proxy make those by TCP.
func probes(container *kyaml.RNode, where string, s *ir.Service) error {
	var errs []error
	for _, field := range probeFields {
		node, err := container.Pipe(kyaml.Lookup(field))
		if err != nil || node == nil {
			continue
		}
		p, ok := probeOf(node, container)
		if !ok || p.Port == s.Proxy.HealthPort || !intercepted(s, p.Port) {
			continue
		}
		if !slices.ContainsFunc(s.Probes, func(q ir.Probe) bool { return q.Port == p.Port && q.Kind == p.Kind && q.Path == p.Path }) {
			errs = append(errs, fmt.Errorf("%s: its %s of port %d would be refused, as the kubelet has no identity\n  hint: services: %q: probes: [%s]",
				where, field, p.Port, s.Name, inSpec(p)))
			continue
		}
		if p.Kind == ir.HealthTCP {
			get, err := kyaml.Parse(fmt.Sprintf("path: /tcp/%d\nport: %d\n", p.Port, s.Proxy.HealthPort))
			if err != nil {
				return err
			}
			if err := node.PipeE(kyaml.Tee(kyaml.Clear("tcpSocket")), kyaml.SetField("httpGet", get)); err != nil {
				return err
			}
		}
	}
	return errors.Join(errs...)
}

// intercepted reports whether the proxy takes the connections to a port of its pod.
func intercepted(s *ir.Service, port uint16) bool {
	if s.Explicit {
		return s.PortAt(port) != nil
	}
	return !slices.Contains(s.Proxy.ExcludeInboundPorts, port)
}

func inSpec(p ir.Probe) string {
	switch p.Kind {
	case ir.HealthHTTP:
		return fmt.Sprintf("{port: %d, http: path: %q}", p.Port, p.Path)
	case ir.HealthGRPC:
		return fmt.Sprintf("{port: %d, grpc: {}}", p.Port)
	}
	return fmt.Sprintf("{port: %d, tcp: {}}", p.Port)
}

// probeOf reads a probe of a container; false for one that needs no port.
func probeOf(probe, container *kyaml.RNode) (ir.Probe, bool) {
	for field, kind := range map[string]ir.HealthKind{"httpGet": ir.HealthHTTP, "grpc": ir.HealthGRPC, "tcpSocket": ir.HealthTCP} {
		handler, err := probe.Pipe(kyaml.Lookup(field))
		if err != nil || handler == nil {
			continue
		}
		port, err := handler.Pipe(kyaml.Lookup("port"))
		if err != nil || port == nil {
			return ir.Probe{}, false
		}
		p := ir.Probe{Kind: kind, Port: portNumber(port.YNode().Value, container)}
		if kind == ir.HealthHTTP {
			path, _ := handler.GetString("path")
			p.Path, _, _ = strings.Cut(path, "?")
			if !strings.HasPrefix(p.Path, "/") {
				p.Path = "/" + p.Path
			}
		}
		return p, p.Port != 0
	}
	return ir.Probe{}, false
}

// portNumber is that of a port of the container, which may be written by its name.
func portNumber(written string, container *kyaml.RNode) uint16 {
	var number uint16
	if _, err := fmt.Sscanf(written, "%d", &number); err == nil {
		return number
	}
	ports, err := container.Pipe(kyaml.Lookup("ports"))
	if err != nil || ports == nil {
		return 0
	}
	elements, err := ports.Elements()
	if err != nil {
		return 0
	}
	for _, port := range elements {
		if name, _ := port.GetString("name"); name == written {
			if field, err := port.Pipe(kyaml.Lookup("containerPort")); err == nil && field != nil {
				_, _ = fmt.Sscanf(field.YNode().Value, "%d", &number)
			}
		}
	}
	return number
}
