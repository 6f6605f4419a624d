package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	// Note is told what passes through and may not be meant to.
	Note func(text string)
}

// Inject is a stream of YAML documents with a sidecar in each workload that the mesh
// knows, as the Kustomize component of its namespace adds it (the same strategic merge
// patch), and more that only who sees the workload can do: its probes by TCP become
// those that the proxy makes, and a container that requests reach, and that says
// nothing of its end, goes on for a while when its pod is to end, until no caller sends
// it any. Everything else, and what has all this already, stays as it is, byte for byte.
//
// It is an error when the pod would go round its proxy, something in it has a name of the
// mesh's own, or the kubelet could not make a probe under mutual TLS.
func (i *Injector) Inject(stream []byte) ([]byte, error) {
	var out bytes.Buffer
	var errs []error
	for n, part := range documents(stream) {
		changed, err := i.document(n+1, part.text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out.Write(part.separator)
		out.Write(changed)
	}
	return out.Bytes(), errors.Join(errs...)
}

// part is a document of a stream with what separates it from the one before.
type part struct{ separator, text []byte }

// blank is what may stand behind a separator.
const blank = " \t\r\n"

// documents takes a stream apart (YAML 1.2, 9.2): at each line that begins with "---",
// behind which the document may begin, or with "...".
func documents(stream []byte) []part {
	parts := []part{{}}
	for line := range bytes.Lines(stream) {
		mark := line[:min(3, len(line))]
		marks := (bytes.Equal(mark, []byte("---")) || bytes.Equal(mark, []byte("..."))) &&
			(len(line) == 3 || strings.ContainsRune(blank, rune(line[3])))
		if marks {
			parts = append(parts, part{separator: mark})
			line = line[3:]
		}
		last := &parts[len(parts)-1]
		last.text = append(last.text, line...)
	}
	return parts
}

// document is one document with its sidecars.
func (i *Injector) document(n int, text []byte) ([]byte, error) {
	decoder := kyaml.NewDecoder(bytes.NewReader(text))
	var document, second kyaml.Node
	if err := decoder.Decode(&document); err != nil {
		if hidden := i.hidden(n, text, nil); hidden != nil {
			return nil, hidden
		}
		if !errors.Is(err, io.EOF) {
			i.Note(fmt.Sprintf("document %d is not YAML, and is passed through unchanged", n))
		}
		return text, nil
	}
	node := kyaml.NewRNode(&document)
	workloads := i.workloads(node)
	if err := i.hidden(n, text, workloads); err != nil {
		return nil, err
	}
	i.unproxied(node)
	if len(workloads) == 0 {
		return text, nil
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf(
			"document %d holds a workload of the mesh, and more behind it\n  hint: separate documents by lines of \"---\"", n)
	}
	if anchored(&document) {
		return nil, fmt.Errorf(
			"document %d holds a workload of the mesh, and anchors or aliases of YAML, which a patch would tear apart\n  hint: expand them first: kustomize build does", n)
	}
	if err := readAlike(&document, text); err != nil {
		return nil, fmt.Errorf(
			"document %d holds a workload of the mesh, and %w\n  hint: write it plainly: no merge key (\"<<\"), no key twice, no tag, and text in quotes", n, err)
	}
	before, err := node.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("document %d holds a workload of the mesh, and cannot be read: %w", n, err)
	}
	var errs []error
	for _, w := range workloads {
		errs = append(errs, i.workload(w.node, w.service))
	}
	if err := errors.Join(errs...); err != nil {
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
	if strings.ContainsRune(blank, rune(text[0])) {
		changed = "\n" + changed // behind its separator
	}
	return []byte(changed), err
}

// anchored reports whether the node, or something in it, has an anchor or is an alias.
func anchored(node *kyaml.Node) bool {
	return node.Anchor != "" || node.Kind == kyaml.AliasNode || slices.ContainsFunc(node.Content, anchored)
}

// workloadOf is a workload in a document, and the service whose pods it runs.
type workloadOf struct {
	node    *kyaml.RNode
	service *ir.Service
}

// workloads are those of the mesh in a document: itself, or items of a list, which is for kubectl whatever has items.
func (i *Injector) workloads(node *kyaml.RNode) (out []workloadOf) {
	if node.YNode() == nil || node.YNode().Kind != kyaml.MappingNode {
		return nil
	}
	if items, err := node.Pipe(kyaml.Lookup("items")); err == nil && !items.IsNil() && items.YNode().
		Kind == kyaml.SequenceNode {
		for _, item := range items.Content() {
			out = append(out, i.workloads(kyaml.NewRNode(item))...)
		}
		return out
	}
	if service, _ := i.service(node); service != nil {
		return []workloadOf{{node, service}}
	}
	return nil
}

// workload adds the sidecar to a workload.
func (i *Injector) workload(node *kyaml.RNode, service *ir.Service) error {
	name := fmt.Sprintf("%s %s/%s", service.Workload.Pods.Kind, service.Namespace, node.GetName())
	if err := i.podFits(node, name, service); err != nil {
		return err
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
	if err := i.own(node, patch, name, service); err != nil {
		return err
	}
	if err := teamsKeys(node, patch, name, service); err != nil {
		return err
	}
	// The name and the version are the team's own.
	if err := patch.PipeE(kyaml.Clear("metadata")); err != nil {
		return err
	}
	merged, err := merge2.Merge(patch, node, kyaml.MergeOptions{ListIncreaseDirection: kyaml.MergeOptionsListPrepend})
	if err != nil {
		return fmt.Errorf("%s is not a valid one, so no proxy can be added\n  hint: kubectl apply --dry-run=server says what is wrong", name)
	}
	node.SetYNode(merged.YNode())
	return i.containers(node, name, service)
}

// own leaves in the pod of a workload what is the team's own, and holds it against the spec.
func (i *Injector) own(node, patch *kyaml.RNode, name string, s *ir.Service) error {
	pod, err := node.Pipe(kyaml.Lookup(podSpec(s)...))
	if err != nil {
		return err
	}
	added, err := patch.Pipe(kyaml.Lookup(podSpec(s)...))
	if err != nil {
		return err
	}
	if err := takeOwn(pod, added, name); err != nil {
		return err
	}
	return proofsOf(i.Mesh).privileges(pod, name, s)
}

// service is the one whose pods a workload runs; nil for none. Elsewhere is the namespace of one whose workload has the
// name, where this one names no namespace.
func (i *Injector) service(node *kyaml.RNode) (service *ir.Service, elsewhere string) {
	kind := ir.PodsKind(node.GetKind())
	if group, ok := groups[kind]; !ok || node.GetApiVersion() != group+"/v1" {
		return nil, ""
	}
	namespace := node.GetNamespace()
	for _, s := range i.Mesh.Services {
		if !s.Workload.InCluster() || s.Workload.Pods.Kind != kind || !slices.Contains(s.PodsNames(), node.GetName()) {
			continue
		}
		if s.Namespace == namespace || namespace == "" && s.Namespace == i.Namespace {
			return s, ""
		}
		if namespace == "" {
			elsewhere = s.Namespace
		}
	}
	return nil, elsewhere
}

// podSpec is where the containers of a workload are.
func podSpec(s *ir.Service) []string {
	path := []string{"spec", "template", "spec"}
	if s.Workload.Pods.Kind == ir.CronJob {
		path = append([]string{"spec", "jobTemplate"}, path...)
	}
	return path
}

// containers looks after the team's own containers in a workload.
func (i *Injector) containers(node *kyaml.RNode, name string, s *ir.Service) error {
	pod, err := node.Pipe(kyaml.Lookup(podSpec(s)...))
	if err != nil || pod == nil {
		return nil // the API server says that there is none
	}
	var errs []error
	for _, c := range teamContainers(pod) {
		own, _ := c.node.GetString("name")
		errs = append(errs, i.probes(c.node, fmt.Sprintf("container %s of %s", own, name), s))
		if !c.init {
			errs = append(errs, lastRequests(c.node, pod, s))
		}
	}
	return errors.Join(errs...)
}

// ending is how long a container goes on that is told to end, in seconds: its callers
// have heard of it by then.
const ending = 5

// lastRequests has a container of a service that is called wait before it is told to
// end, unless it says itself what it does then, or its pod has no time for that.
func lastRequests(container, pod *kyaml.RNode, s *ir.Service) error {
	if len(s.Ports) == 0 {
		return nil
	}
	if hook, err := container.Pipe(kyaml.Lookup("lifecycle", "preStop")); err != nil || hook != nil {
		return err
	}
	seconds := ending
	if grace, err := pod.Pipe(kyaml.Lookup("terminationGracePeriodSeconds")); err == nil && grace != nil {
		if seconds = min(ending, int(number(grace.YNode().Value))-1); seconds < 1 {
			return nil
		}
	}
	sleep, err := kyaml.Parse(fmt.Sprintf("sleep: {seconds: %d}", seconds))
	if err != nil {
		return err
	}
	return container.PipeE(kyaml.LookupCreate(kyaml.MappingNode, "lifecycle"), kyaml.SetField("preStop", sleep))
}
