// Package ingress reads the Ingresses of Kubernetes, as
// https://kubernetes.io/docs/concepts/services-networking/ingress/ describes them, with the annotations of
// ingress-nginx that the language has something for.
package ingress

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

const group = "networking.k8s.io"

// Kinds are those that are read, and their group.
var Kinds = map[string]string{"Ingress": group, "IngressClass": group}

// class are the Ingresses that one controller serves: one gateway, with one address.
type class struct {
	*importer.Mesh
	name      string
	ingresses []*ingress
	gateway   *spec.Gateway
	// hosts have the paths of the rules, by host; "" is any.
	hosts map[string][]*path
	// secure are the hosts that tls names, and secrets their listeners by the Secret.
	secure  map[string]bool
	secrets map[string]*spec.Listener
}

// ingress is an Ingress as it was read.
type ingress struct {
	object   *importer.Object
	spec     networkingv1.IngressSpec
	settings settings
	// services are those that its requests go to, by name.
	services []string
}

// Read adds a gateway for each class of Ingresses among the objects to a mesh. Rules of services are the caller's.
func Read(m *importer.Mesh, objects []*importer.Object) {
	classes := map[string]*class{}
	controllers := map[string]string{} // by class
	standard := ""
	for _, o := range importer.Of(objects, group, "IngressClass") {
		var d networkingv1.IngressClassSpec
		if !m.Decode(o, "spec", &d) {
			continue
		}
		controllers[o.Metadata.Name] = d.Controller
		if o.Metadata.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			standard = o.Metadata.Name
		}
	}
	ingresses := importer.Of(objects, group, "Ingress")
	slices.SortStableFunc(ingresses, func(a, b *importer.Object) int { // the older one wins
		return cmp.Or(a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp.Time),
			strings.Compare(a.String(), b.String()))
	})
	for _, o := range ingresses {
		i := &ingress{object: o}
		if !m.Decode(o, "spec", &i.spec) {
			continue
		}
		name := cmp.Or(o.Metadata.Annotations["kubernetes.io/ingress.class"], standard)
		if i.spec.IngressClassName != nil {
			name = *i.spec.IngressClassName
		}
		c := classes[name]
		if c == nil {
			c = &class{
				Mesh: m, name: name, hosts: map[string][]*path{}, secure: map[string]bool{},
				secrets: map[string]*spec.Listener{},
				gateway: &spec.Gateway{Listeners: map[string]*spec.Listener{}, Uses: map[string]*spec.Use{}},
			}
			classes[name] = c
		}
		controller := controllers[name]
		i.settings = readSettings(m, o, strings.Contains(controller, "nginx") || controller == "" && (strings.Contains(
			name, "nginx") || hasNginx(o)))
		if !i.settings.left {
			c.ingresses = append(c.ingresses, i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		classes[name].read()
	}
}

// read makes the gateway of a class.
func (c *class) read() {
	if len(c.ingresses) == 0 {
		return
	}
	first := c.ingresses[0].object
	for _, i := range c.ingresses {
		if len(i.spec.TLS) > 0 {
			first = i.object // where its Secret is
			break
		}
	}
	c.gateway.Namespace = spec.Written(first.Metadata.Namespace)
	for _, i := range c.ingresses {
		c.tls(i)
	}
	for _, i := range c.ingresses {
		c.rules(i)
	}
	c.gateway.Listeners["http"] = &spec.Listener{Port: spec.Written(80)}
	c.gateway.Routes = c.routes()
	c.bound()
	if len(c.gateway.Routes) == 0 {
		c.NotCarried(first, "no Ingress of its class leads anywhere, and there is no gateway", "spec")
		return
	}
	for _, r := range c.gateway.Routes {
		for _, d := range r.To {
			c.gateway.Uses[d.Service.Value] = &spec.Use{}
		}
	}
	for _, i := range c.ingresses {
		i.settings.connect(c.gateway, i.services)
	}
	name := importer.Free(c.Names(), importer.NameOf(cmp.Or(c.name, "ingress")))
	c.Repository.Gateways[name] = c.gateway
	c.MadeFrom("gateways", name, first)
	if slices.ContainsFunc(c.ingresses, func(i *ingress) bool { return i.settings.nginx && !i.settings.sized }) {
		c.Note(first, "ingress-nginx refuses bodies of more than 1 MiB with 413 unless its configuration says otherwise, and "+
			"the gateway takes all: maxRequestBytes of a route bounds them")
	}
}

// tls reads the hosts of an Ingress that have a certificate.
func (c *class) tls(i *ingress) {
	for n, t := range i.spec.TLS {
		at := []string{"spec", "tls", strconv.Itoa(n)}
		hosts := t.Hosts
		if len(hosts) == 0 {
			for _, r := range i.spec.Rules {
				hosts = append(hosts, r.Host)
			}
		}
		var own []string
		for _, host := range hosts {
			if !c.secure[host] {
				own = append(own, host)
			}
			c.secure[host] = true
		}
		switch {
		case t.SecretName == "":
			c.NotCarried(i.object, "it names no Secret with a certificate, so nothing is answered by TLS for its hosts",
				append(at, "secretName")...)
			continue
		case importer.NameOf(t.SecretName) != t.SecretName:
			c.NotCarried(i.object, strconv.Quote(t.SecretName)+" is not a valid name in the spec, so nothing is answered by "+
				"TLS for its hosts", append(at, "secretName")...)
			continue
		}
		if i.object.Metadata.Namespace != c.gateway.Namespace.Value {
			c.Note(i.object, fmt.Sprintf("the gateway is in the namespace %s: copy the Secret %s there",
				c.gateway.Namespace.Value, t.SecretName), append(at, "secretName")...)
		}
		l := c.secrets[t.SecretName]
		if l == nil {
			if len(own) == 0 {
				continue
			}
			l = &spec.Listener{
				Port: spec.Written(443), TLS: &spec.ListenerTLS{Secret: spec.Written(t.SecretName)},
			}
			c.secrets[t.SecretName] = l
			c.gateway.Listeners[importer.Free(c.gateway.Listeners, "https")] = l
		}
		for _, host := range own {
			l.Hosts = append(l.Hosts, spec.Written(cmp.Or(host, "*")))
		}
	}
}

// isSecure reports whether requests for a host come by TLS.
func (c *class) isSecure(host string) bool {
	if c.secure[host] || c.secure[""] {
		return true
	}
	_, rest, dotted := strings.Cut(host, ".")
	return dotted && c.secure["*."+rest]
}
