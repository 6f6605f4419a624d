package kubernetes

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/ir"
)

// harmless are the capabilities that the Pod Security Standard "baseline" lets containers
// have; with the others one changes the pod's network, sends past it, or reads its neighbours.
var harmless = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
	"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

// sharedWithHost are fields of a pod by which its containers see the processes of others.
var sharedWithHost = []string{"hostIPC", "hostPID", "shareProcessNamespace"}

// privileges refuses what in a pod can go round its proxy or read its key, but for what the
// spec accepts by name. What cannot be read is taken for the worst.
func (p proofs) privileges(pod *kyaml.RNode, name string, s *ir.Service) error {
	var said, names []string
	refuse := func(what, text string) {
		if !slices.Contains(s.Proxy.Privileged, what) {
			said, names = append(said, text), append(names, what)
		}
	}
	for _, field := range sharedWithHost {
		if !isFalse(pod, field) {
			refuse(field, fmt.Sprintf(
				"%s has %s: its containers see processes beside their own, the proxy's among them", name, field))
		}
	}
	for _, field := range containerFields {
		list, err := pod.Pipe(kyaml.Lookup(field))
		if err != nil || list.IsNilOrEmpty() {
			continue
		}
		for _, element := range list.Content() {
			c := kyaml.NewRNode(element)
			if why := p.privilege(c, pod); why != "" {
				own := value(c, "name")
				refuse(own, fmt.Sprintf("container %s of %s %s: its connections could go round the proxy", own, name,
					why))
			}
		}
	}
	if said == nil {
		return nil
	}
	accepted := slices.Concat(s.Proxy.Privileged, names)
	slices.Sort(accepted)
	quoted := make([]string, 0, len(accepted))
	for _, a := range slices.Compact(accepted) {
		quoted = append(quoted, strconv.Quote(a))
	}
	return errors.New(strings.Join(said, "\n") +
		fmt.Sprintf("\n  hint: do without; or accept it in the spec: services: %q: proxy: privileged: [%s]", s.Name,
			strings.Join(quoted, ", ")))
}

// privilege is why a container of a pod is more than its proxy can hold; empty for none.
func (p proofs) privilege(container, pod *kyaml.RNode) string {
	if !isFalse(container, "securityContext", "privileged") {
		return "is privileged"
	}
	if mount := value(container, "securityContext", "procMount"); mount != "" && mount != "Default" {
		return fmt.Sprintf("has the procMount %s", mount)
	}
	if added := capabilities(container); len(added) > 0 {
		return "has " + strings.Join(added, ", ")
	}
	if way := p.reaches(container, pod); way != "" {
		return way + ", which has what the proxy proves its identity by"
	}
	user, written := scalar(container, "securityContext", "runAsUser")
	if !written {
		user, written = scalar(pod, "securityContext", "runAsUser")
	}
	if !written {
		return ""
	}
	switch n, err := strconv.ParseUint(user, 10, 63); {
	case err != nil || strconv.FormatUint(n, 10) != user:
		return fmt.Sprintf("runs as the user %q, which is not a number", user)
	case n == proxyUser:
		return fmt.Sprintf("runs as user %d, which is the proxy's", proxyUser)
	}
	return ""
}

// capabilities are those added to a container that are not harmless.
func capabilities(container *kyaml.RNode) (out []string) {
	list, err := container.Pipe(kyaml.Lookup("securityContext", "capabilities", "add"))
	if err != nil {
		return []string{"capabilities that cannot be read"}
	}
	if list.IsNil() || list.YNode().Tag == kyaml.NodeTagNull {
		return nil
	}
	if list.YNode().Kind != kyaml.SequenceNode {
		return []string{"capabilities that cannot be read"}
	}
	for _, c := range list.Content() {
		if known := strings.TrimPrefix(strings.ToUpper(c.Value), "CAP_"); c.Kind != kyaml.ScalarNode ||
			!slices.Contains(harmless, known) {
			out = append(out, strings.ToUpper(c.Value))
		}
	}
	return out
}

// isFalse reports whether a field is not there, or false for every reader of YAML.
func isFalse(node *kyaml.RNode, path ...string) bool {
	text, written := scalar(node, path...)
	return !written || text == "false"
}

// scalar is what is written in a field; false for nothing, and for null.
func scalar(node *kyaml.RNode, path ...string) (string, bool) {
	field, err := node.Pipe(kyaml.Lookup(path...))
	if err != nil {
		return "", true
	}
	if field.IsNil() || field.YNode().Tag == kyaml.NodeTagNull {
		return "", false
	}
	return field.YNode().Value, true
}
