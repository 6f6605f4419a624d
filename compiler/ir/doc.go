// Package ir is the linked mesh: one typed, immutable value that every renderer,
// every analysis and the server read, and nothing before it.
//
// A [Mesh] comes out of the linker resolved and checked: every reference leads
// somewhere, every name is valid, every list is in a stable order, and every
// node carries the position in the user's files that it came from. It is free
// of CUE, Envoy and Kubernetes types and speaks the mesh's words: service,
// gateway, external, route, identity, trust domain.
//
// What a proxy may know is a [Scope]: the mesh's settings, the member that the
// proxy stands beside, and the callers' view of those it calls. Whoever renders
// for a member is given a Scope and nothing else, so that its configuration
// grows with its edges and depends on nothing that is not in the Scope.
//
// A value that may be written at several places is a [Setting]; [Settings.Policy] picks
// the one nearest to the caller.
//
// Do not change a Mesh after it was made: take a copy with [Mesh.Clone].
package ir
