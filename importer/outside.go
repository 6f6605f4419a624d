package importer

import (
	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
)

// Remove takes a service out of the mesh.
func (m *Mesh) Remove(s *Service) {
	delete(m.Services, s.Name)
	delete(m.Repository.Services, s.Name)
}

// MakeExternal makes an external of a service whose pods get no proxy, and tells why: members call it without mutual
// TLS, and it has no identity.
func (m *Mesh) MakeExternal(s *Service, why string) {
	m.Remove(s)
	m.NotCarried(s.Object, why+", and it is an external, which members call without mutual TLS, and members let its pods "+
		"in where a rule has plaintext")
	if len(s.Spec.Ports) == 0 {
		return
	}
	plain := membername.Plain(s.Name)
	e := &spec.External{Ports: s.Spec.Ports}
	host := plain + "." + s.Namespace
	e.Hosts = spec.WrittenAll(host+".svc."+m.ClusterDomain, host+".svc", host)
	if plain == s.Name {
		e.Hosts = append(e.Hosts, spec.Written(plain))
	}
	for _, p := range e.Ports {
		p.Target = spec.Field[int]{} // that of the Service is asked for
	}
	m.MadeFrom("external", m.AddExternal(plain, s.Namespace, e), s.Object)
}

// undeclared is the code of calls that pass, which is silenced with a reason where they do.
const undeclared = "MC1757"

// PassUndeclared lets calls pass that a service does not declare, for a reason.
func (s *Service) PassUndeclared(why string) {
	if s.Spec.Proxy == nil {
		s.Spec.Proxy = &spec.Proxy{}
	}
	s.Spec.Proxy.UndeclaredCalls = spec.Written("pass")
	s.silence(undeclared, why)
}

// permissive is the code of services that let in callers without an identity.
const permissive = "MC1704"

// Permissive lets callers without an identity in where rules say plaintext, for a reason.
func (s *Service) Permissive(why string) {
	s.Spec.MTLS = spec.Written("permissive")
	s.silence(permissive, why)
}

func (s *Service) silence(code, why string) {
	if s.Spec.Silence == nil {
		s.Spec.Silence = spec.Silence{}
	}
	s.Spec.Silence[code] = spec.Written(why)
}
