package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// nobodySigns finds a mesh whose pods wait for certificates for ever: the embedded authority is a part of meshc serve,
// and of that nothing runs in the cluster when configuration is delivered by files.
func nobodySigns(m *subject) (found diag.List) {
	if m.Delivery != ir.DeliveryStatic || m.Certificates.Issuer.Kind != ir.IssuerEmbedded {
		return nil
	}
	who, pos := firstInCluster(m.Mesh)
	if who == "" {
		return nil
	}
	at := m.Certificates.Pos
	if !at.IsValid() {
		at = m.Pos
	}
	found.Add(diag.New(diag.NobodySigns, "mesh.certificates.issuer",
		fmt.Sprintf(`no issuer signs the certificate of %s: with delivery "static" no meshc serve runs in the cluster, and the issuer is meshc serve`, who), at, pos).
		WithHint(`write issuer: {kind: "ClusterIssuer", name: "mesh-ca"} in mesh.certificates, for one of cert-manager, or issuer: kind: "file", and create the Secrets yourself; or delivery: "xds"`))
	return found
}

// firstInCluster is a member whose proxy is in a pod, in words; empty for none.
func firstInCluster(m *ir.Mesh) (who string, pos source.Position) {
	for _, g := range m.Gateways {
		return ir.GatewayRef(g.Name).String(), g.Pos
	}
	for _, s := range m.Services {
		if s.Workload.InCluster() {
			return s.Name, s.Pos
		}
	}
	return "", source.Position{}
}
