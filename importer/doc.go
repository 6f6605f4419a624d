// Package importer reads how services and their traffic are configured elsewhere, in objects of
// Kubernetes, and says the same in the language of meshc. [Mesh] is what its readers,
// in the packages below, fill. What has no counterpart is never dropped in silence:
// a reader takes from an object what it carries over ([Take]), and whatever is left of it in
// the end is a finding ([Mesh.Left]).
package importer
