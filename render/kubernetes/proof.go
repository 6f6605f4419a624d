package kubernetes

import (
	"path"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/ir"
)

// proofs are what somebody proves an identity of the mesh by, as a manifest names it.
type proofs struct {
	// names are Secrets with certificates of the mesh and with its authority, the audience of tokens that meshc serve
	// takes, and the signer of its certificates.
	names map[string]bool
	// issuer is the one of cert-manager's that signs; empty for none.
	issuer string
}

// proofsOf are those of a mesh.
func proofsOf(m *ir.Mesh) proofs {
	p := proofs{names: map[string]bool{AuthorityName: true, ir.CertificateSecret(ir.ServerName): true}}
	for _, s := range m.Services {
		p.names[ir.CertificateSecret(s.Name)] = true
	}
	for _, g := range m.Gateways {
		p.names[ir.CertificateSecret(g.Name)] = true
	}
	if asksServer(&m.Settings) {
		p.names[m.ServerIdentity().String()] = true
	}
	if signer := m.Certificates.Issuer.Signer; signer != "" {
		p.names[signer] = true
	}
	p.issuer = m.Certificates.Issuer.Name
	return p
}

// Drivers of cert-manager that make a certificate for a pod, and what says by which issuer.
const (
	spiffeDriver     = "spiffe.csi.cert-manager.io"
	issuerAttribute  = "csi.cert-manager.io/issuer-name"
	kubeletDirectory = "/var/lib/kubelet" // where the volumes of all pods of a node are
)

// volumes are the names of those of a pod that have such a proof, under whatever name: a Secret, a token, a
// certificate that a driver makes, or the node's own directory with the volumes of pods. The mesh's own are among them.
func (p proofs) volumes(pod *kyaml.RNode) map[string]bool {
	out := map[string]bool{certificateVolume: true, tokenVolume: true}
	for _, v := range elements(pod, "volumes") {
		hostPath, onHost := scalar(v, "hostPath", "path")
		switch {
		case p.named(v.YNode(), "name"),
			p.issuer != "" && value(v, "csi", "volumeAttributes", issuerAttribute) == p.issuer,
			value(v, "csi", "driver") == spiffeDriver,
			onHost && holdsVolumes(hostPath):
			out[value(v, "name")] = true
		}
	}
	return out
}

// holdsVolumes reports whether a directory of the node has volumes of pods in it, or is in one.
func holdsVolumes(dir string) bool {
	below := func(a, b string) bool { return a == b || b == "/" || strings.HasPrefix(a, b+"/") }
	dir = path.Clean("/" + dir)
	return below(dir, kubeletDirectory) || below(kubeletDirectory, dir)
}

// named reports whether something in a node names a proof, but for one field of the node itself.
func (p proofs) named(node *kyaml.Node, but string) bool {
	switch node.Kind {
	case kyaml.MappingNode:
		for n := 0; n+1 < len(node.Content); n += 2 {
			if node.Content[n].Value != but && p.named(node.Content[n+1], "") {
				return true
			}
		}
		return false
	case kyaml.ScalarNode:
		return p.names[node.Value]
	}
	return slices.ContainsFunc(node.Content, func(c *kyaml.Node) bool { return p.named(c, "") })
}

// reaches says by what a container of a pod has a proof; empty for none.
func (p proofs) reaches(container, pod *kyaml.RNode) string {
	volumes := p.volumes(pod)
	for _, field := range []string{"volumeMounts", "volumeDevices"} {
		for _, mount := range elements(container, field) {
			if name := value(mount, "name"); volumes[name] {
				return "mounts the volume " + name
			}
		}
	}
	for _, from := range elements(container, "envFrom") {
		if p.named(from.YNode(), "prefix") {
			return "takes its environment from the Secret " + value(from, "secretRef", "name")
		}
	}
	for _, variable := range elements(container, "env") {
		source, err := variable.Pipe(kyaml.Lookup("valueFrom"))
		if err == nil && !source.IsNil() && p.named(source.YNode(), "") ||
			volumes[value(variable, "valueFrom", "fileKeyRef", "volumeName")] {
			return "has the variable " + value(variable, "name")
		}
	}
	return ""
}

// elements are those of a list in a node; none where it is not a list.
func elements(node *kyaml.RNode, field string) (out []*kyaml.RNode) {
	list, err := node.Pipe(kyaml.Lookup(field))
	if err != nil || list.IsNil() || list.YNode().Kind != kyaml.SequenceNode {
		return nil
	}
	for _, element := range list.Content() {
		out = append(out, kyaml.NewRNode(element))
	}
	return out
}
