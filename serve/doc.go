// Package serve is the mesh's xDS server: it gives every proxy the resources of
// its own Scope over aggregated discovery (incremental, and state of the world
// for other clients), keeps what each has acknowledged or refused, and takes a
// changed mesh as a whole or not at all.
//
// A proxy is who its certificate says: the SPIFFE identity must be that of the
// member which the node id names. See xDS's own specification for the protocol:
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol.
package serve
