// Package importer converts the configuration of services and their traffic from Kubernetes objects into the language
// of meshc. The packages below read the objects of one project each and fill a [Mesh]. Nothing that has no
// counterpart is dropped silently: a reader takes from an object what it carries over ([Take]), and everything that
// remains becomes a finding ([Mesh.Left]).
package importer
