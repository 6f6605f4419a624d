package kubernetes

import "github.com/meshc/meshc/compiler/ir"

// directory holds all but the outermost kustomization.yaml.
const directory = "kubernetes"

// Files of a namespace's directory besides those of its members.
const (
	namespaceBase = "namespace.yaml"
	outsideBase   = "hosts.outside.yaml"
)

func namespaceDir(namespace string) string { return directory + "/" + namespace }

func namespaceFile(namespace string) string { return namespaceDir(namespace) + "/" + namespaceBase }

func outsideFile(namespace string) string { return namespaceDir(namespace) + "/" + outsideBase }

func memberFile(namespace, name string) string { return namespaceDir(namespace) + "/" + baseName(name) }

func sidecarDir(namespace string) string { return namespaceDir(namespace) + "/sidecar" }

func sidecarFile(namespace, name string) string { return sidecarDir(namespace) + "/" + baseName(name) }

// baseName is the file of a member inside its namespace's directory. What members are called there has no dot, so
// none of the files that are named otherwise can be taken by a member.
func baseName(member string) string {
	member = ir.PlainName(member)
	switch member {
	case "kustomization", "namespace":
		return member + ".member.yaml"
	}
	return member + ".yaml"
}
