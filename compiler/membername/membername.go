// Package membername takes names of members of a mesh apart and puts them together. A name is NAME, and NAME.NAMESPACE
// where several namespaces have a member of that name. NAME itself has no dot.
package membername

import "strings"

// Split is NAME and NAMESPACE of a member's name; qualified is false where it has no namespace.
func Split(name string) (plain, namespace string, qualified bool) { return strings.Cut(name, ".") }

// Plain is NAME of a member's name, whether or not that has a namespace.
func Plain(name string) string {
	plain, _, _ := Split(name)
	return plain
}

// Qualified is NAME.NAMESPACE, whether or not the name has a namespace.
func Qualified(name, namespace string) string { return Plain(name) + "." + namespace }

// clusters are the namespaces of a cluster itself, or of what rules it.
var clusters = map[string]bool{
	"kube-system": true, "kube-public": true, "kube-node-lease": true, "flux-system": true, "cert-manager": true,
}

// OfCluster reports whether a namespace belongs to a cluster itself: nothing in it can be a member of a mesh.
func OfCluster(namespace string) bool { return clusters[namespace] }
