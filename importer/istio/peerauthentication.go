package istio

import (
	securityv1 "istio.io/api/security/v1beta1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var peerAuthenticationReasons = map[string]string{
	"portLevelMtls": "a service's ports are all strict or all permissive, and these are strict",
	"mtls.mode":     "a member has mutual TLS, and takes plaintext besides at most: mtls: permissive",
}

// peerAuthentications are the services, by name, that take plaintext, which some
// PeerAuthentication must say: not to say anything is strict here.
func (m *reader) peerAuthentications() map[string]bool {
	const unset = securityv1.PeerAuthentication_MutualTLS_UNSET
	modes := map[string]securityv1.PeerAuthentication_MutualTLS_Mode{}
	rank := map[string]int{}
	for _, o := range m.objectsOf(security, "PeerAuthentication") {
		var d securityv1.PeerAuthentication
		if !m.Decode(o, "spec", &d) {
			continue
		}
		labels := importer.Take(&d.Selector).GetMatchLabels()
		mode := d.Mtls.GetMode()
		if mode != securityv1.PeerAuthentication_MutualTLS_DISABLE && d.Mtls != nil {
			d.Mtls.Mode = unset
		}
		near := nearness(o, labels)
		if mode == securityv1.PeerAuthentication_MutualTLS_PERMISSIVE && len(d.PortLevelMtls) > 0 {
			mode = securityv1.PeerAuthentication_MutualTLS_STRICT // what is strict must stay so
		}
		selection := m.selected(o, labels)
		for _, s := range byName(selection) {
			mode := mode
			if mode == securityv1.PeerAuthentication_MutualTLS_PERMISSIVE && !selection[s] {
				mode = securityv1.PeerAuthentication_MutualTLS_STRICT // some of its pods are
			}
			if mode != unset && near > rank[s.Name] {
				modes[s.Name], rank[s.Name] = mode, near
			}
		}
		m.Left(o, "spec", &d, peerAuthenticationReasons)
	}
	out := map[string]bool{}
	for name, mode := range modes {
		if mode == securityv1.PeerAuthentication_MutualTLS_PERMISSIVE {
			out[name] = true
			m.Services[name].Spec.MTLS = spec.Written("permissive")
		}
	}
	return out
}
