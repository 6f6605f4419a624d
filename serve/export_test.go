package serve

import (
	"net/http"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// EndpointFiles are endpoints files in a directory.
type EndpointFiles struct{ endpointFiles }

// NewEndpointFiles has read none of the files yet.
func NewEndpointFiles(dir string) *EndpointFiles { return &EndpointFiles{endpointFiles{dir: dir}} }

// Changed returns the names of the files that it reads, and the errors.
func (e *EndpointFiles) Changed(now time.Time) (names, wrong []string) {
	files, wrong := e.changed(now)
	return sortedKeys(files), wrong
}

// Live is a mesh with its instances at the moment.
type Live struct{ *liveMesh }

// NewLive knows no instances yet.
func NewLive(m *ir.Mesh) *Live {
	l := newLiveMesh()
	l.setMesh(m, time.Now())
	return &Live{l}
}

// SetServices and ChangeServices return the services of the mesh whose addresses have changed.
func (l *Live) SetServices(namespace string, addresses map[string][]string) map[string]bool {
	return l.setServices(namespace, addresses)
}

func (l *Live) ChangeServices(namespace string, addresses map[string][]string) map[string]bool {
	return l.changeServices(namespace, addresses)
}

// ClusterIPs are those of a Service.
func (l *Live) ClusterIPs(namespace, name string) []string {
	return l.now().services[namespace].get(name)
}

// NewCodec is what decodes the messages of clients.
func NewCodec() encoding.CodecV2 { return newCodec() }

// Memory is what gives memory back.
type Memory struct{ memory }

// Look is what the server does every second.
func (m *Memory) Look(now time.Time) bool { return m.look(now) }

// SettleAll does at once what the server does every second.
func (s *Server) SettleAll() { s.proxies.settleAll() }

// ForgetHolders does what the server does every second at that time, and says how many holders are left.
func (s *Server) ForgetHolders(now time.Time) (left int) {
	s.holders.forget(now)
	for _, of := range s.holders.of {
		left += len(of)
	}
	return left
}

// Join has a proxy connect, without a stream.
func (s *Server) Join(n *corev3.Node, identity spiffeid.ID) error {
	return s.proxies.register(&stream{identity: identity}, n)
}

// Configured are the resources of the configuration that was last rendered for a node, by type and name, as they are
// kept.
func (s *Server) Configured(id string) map[string]*anypb.Any {
	n, out := s.proxies.node(id), map[string]*anypb.Any{}
	n.making.Lock()
	defer n.making.Unlock()
	for url, all := range n.configured.resources {
		for name, r := range all {
			out[short(url)+" "+name] = r.content
		}
	}
	return out
}

// Advance begins the next stage of a change without waiting for proxies, and reports whether there was one.
func (s *Server) Advance() bool {
	s.staging.mu.Lock()
	defer s.staging.mu.Unlock()
	if len(s.staging.ahead) == 0 {
		return false
	}
	s.staging.advance()
	return true
}

// Unlike returns the proxies that are served something else than what is rendered for each of them alone.
func (s *Server) Unlike() (ids []string) {
	s.staging.mu.Lock() // no other stage begins
	defer s.staging.mu.Unlock()
	p := s.proxies
	v := p.live.now()
	for _, n := range p.sortedNodes() {
		want := newBuilt(&envoy.Resources{})
		if of, err := p.madeOf(n, v); err == nil {
			build := envoy.Build
			if n.kind == kindGRPC {
				build = envoy.Proxyless
			}
			r, err := build(of.Scope, of.Options)
			if err != nil {
				ids = append(ids, n.id+": "+err.Error())
				continue
			}
			want = newBuilt(r)
		}
		n.locked(func() {
			p.freshen(n)
			same := want.equal(n.target())
			for name, a := range want.assigned {
				is := pack(resource.EndpointType, envoy.Assignment(a.Discovered, n.endpoint, v.instances(a.Callee)))
				same = same && n.endpoints.now[name] != nil && n.endpoints.now[name].version == is.version
			}
			if !same {
				ids = append(ids, n.id)
			}
		})
	}
	return ids
}

// AdminHandler is the API for administrators, for requests that come from anywhere.
func (s *Server) AdminHandler() http.Handler { return s.adminHandler() }

// Wanted returns the versions of what is rendered for a connected proxy alone, by type and name.
func (s *Server) Wanted(id string) map[string]map[string]string {
	p := s.proxies
	n, v, out := p.node(id), p.live.now(), map[string]map[string]string{}
	if n == nil {
		return out
	}
	of, err := p.madeOf(n, v)
	if err != nil {
		return out
	}
	r, err := envoy.Build(of.Scope, of.Options)
	if err != nil {
		return out
	}
	want := newBuilt(r)
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, a := range want.assigned {
		want.resources[resource.EndpointType][name] = pack(resource.EndpointType,
			envoy.Assignment(a.Discovered, n.endpoint, v.instances(a.Callee)))
	}
	for url, all := range want.resources {
		out[url] = map[string]string{}
		for name, r := range all {
			out[url][name] = r.version
		}
	}
	return out
}
