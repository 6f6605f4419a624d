// Package envoy renders a member of the mesh for Envoy (API v3): its listeners,
// routes, clusters, endpoints and secrets, and the bootstrap that a proxy starts
// from. It also renders the same member for gRPC clients that read xDS without
// a proxy.
//
// Whoever renders has an [ir.Scope] and nothing else. The same scope and options
// always give the same messages, in the same order.
package envoy
