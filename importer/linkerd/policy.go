package linkerd

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshc/meshc/importer"
)

type authorizationPolicy struct {
	TargetRef                  reference   `json:"targetRef"`
	RequiredAuthenticationRefs []reference `json:"requiredAuthenticationRefs"`
}

type serverAuthorization struct {
	Server struct {
		Name     string                `json:"name"`
		Selector *metav1.LabelSelector `json:"selector"`
	} `json:"server"`
	Client struct {
		Networks        []network `json:"networks"`
		Unauthenticated bool      `json:"unauthenticated"`
		MeshTLS         *struct {
			UnauthenticatedTLS bool        `json:"unauthenticatedTLS"`
			Identities         []string    `json:"identities"`
			ServiceAccounts    []reference `json:"serviceAccounts"`
		} `json:"meshTLS"`
	} `json:"client"`
}

// authorizations gives Servers and their routes the callers whom policies let in.
func (m *reader) authorizations(list []*server) {
	servers := map[string]*server{}
	inNamespace := map[string][]*server{}
	for _, s := range list {
		servers[s.object.Metadata.Namespace+"/"+s.object.Metadata.Name] = s
		inNamespace[s.object.Metadata.Namespace] = append(inNamespace[s.object.Metadata.Namespace], s)
	}
	routes := m.policyRoutes(servers)
	for _, o := range importer.Of(m.objects, policy, "AuthorizationPolicy") {
		var d authorizationPolicy
		if !m.Decode(o, "spec", &d) {
			continue
		}
		c := m.authenticated(o, d.RequiredAuthenticationRefs)
		if c == nil {
			continue
		}
		at := o.Metadata.Namespace + "/" + d.TargetRef.Name
		switch r := routes[[3]string{cmp.Or(d.TargetRef.Group, policy), d.TargetRef.Kind, at}]; {
		case d.TargetRef.Kind == "Namespace" && d.TargetRef.Name == o.Metadata.Namespace:
			for _, s := range inNamespace[o.Metadata.Namespace] {
				s.callers = append(s.callers, *c)
			}
		case d.TargetRef.Kind == "Server" && servers[at] != nil:
			servers[at].callers = append(servers[at].callers, *c)
		case r != nil:
			r.callers = append(r.callers, *c)
		default:
			m.NotCarried(o, "no "+d.TargetRef.Kind+" "+at+" was read that it could be for", "spec", "targetRef")
		}
	}
	for _, o := range importer.Of(m.objects, policy, "ServerAuthorization") {
		m.serverAuthorization(o, servers, inNamespace[o.Metadata.Namespace])
	}
}

// serverAuthorization gives Servers, of all or of those near, the callers of a ServerAuthorization.
func (m *reader) serverAuthorization(o *importer.Object, servers map[string]*server, near []*server) {
	var d serverAuthorization
	if !m.Decode(o, "spec", &d) {
		return
	}
	c := m.clients(o, &d)
	if c == nil {
		return
	}
	if d.Server.Name != "" {
		near = nil
		if s := servers[o.Metadata.Namespace+"/"+d.Server.Name]; s != nil {
			near = []*server{s}
		}
	}
	chosen := labels.Everything()
	if d.Server.Selector != nil {
		var err error
		if chosen, err = metav1.LabelSelectorAsSelector(d.Server.Selector); err != nil {
			m.NotCarried(o, "it is not a valid selector, so nobody is let in for it", "spec", "server", "selector")
			return
		}
	}
	found := false
	for _, s := range near {
		if chosen.Matches(labels.Set(s.object.Metadata.Labels)) {
			s.callers, found = append(s.callers, *c), true
		}
	}
	if !found {
		m.NotCarried(o, "no Server was read that it could be for", "spec", "server")
	}
}

// clients are the callers of a ServerAuthorization; nil, which is told, for none.
func (m *reader) clients(o *importer.Object, d *serverAuthorization) *callers {
	c := &callers{}
	switch mesh := d.Client.MeshTLS; {
	case d.Client.Unauthenticated:
		c.Anyone, c.Plaintext = true, true
	case mesh == nil:
		m.NotCarried(o, "it names nobody", "spec", "client")
		return nil
	case mesh.UnauthenticatedTLS:
		m.NotCarried(o, "the mesh knows no TLS without an identity, so nobody is let in for it", "spec", "client", "meshTLS")
		return nil
	default:
		for _, text := range mesh.Identities {
			m.identity(c, text)
		}
		for _, ref := range mesh.ServiceAccounts {
			if ref.Namespace == "" {
				ref.Namespace = o.Metadata.Namespace
			}
			m.account(c, ref.Namespace, ref.Name)
		}
		if !m.said(o, c, "spec", "client", "meshTLS", "identities") {
			return nil
		}
	}
	if len(d.Client.Networks) > 0 && !m.from(c, o, d.Client.Networks, "spec", "client", "networks") {
		return nil
	}
	return c
}
