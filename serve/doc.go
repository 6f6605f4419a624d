// Package serve is the control plane: the xDS server of a mesh. It sends each proxy the resources of its own member
// over aggregated discovery (ADS; incremental, and state of the world for other clients), records what each proxy has
// acknowledged or refused, and applies a changed mesh completely or not at all.
//
// The identity of a proxy is the SPIFFE ID in its certificate. It must be the identity of the member that the proxy's
// node ID names. The protocol is described in https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol.
package serve
