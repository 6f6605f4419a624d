package kubernetes

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// probeFields are the fields of a container that have probes of the kubelet.
var probeFields = []string{"startupProbe", "readinessProbe", "livenessProbe"}

// probes holds the probes of a container against those that the mesh lets in, and has
// the proxy make those by TCP.
func (i *Injector) probes(container *kyaml.RNode, where string, s *ir.Service) error {
	var errs []error
	for _, field := range probeFields {
		node, err := container.Pipe(kyaml.Lookup(field))
		if err != nil || node == nil {
			continue
		}
		p, ok := probeOf(node, container)
		if !ok || p.Port == s.Proxy.HealthPort || !intercepted(s, p.Port) {
			continue
		}
		if value(node, "httpGet", "scheme") == "HTTPS" {
			hint := fmt.Sprintf("scheme: HTTP, or services: %q: proxy: excludeInboundPorts: [%d]", s.Name, p.Port)
			if s.PortAt(p.Port) != nil {
				hint = "scheme: HTTP"
			}
			errs = append(errs,
				fmt.Errorf("%s: its %s of port %d is by HTTPS, and the proxy takes the mesh's own TLS there\n  hint: %s", where, field, p.Port, hint))
			continue
		}
		if byRules(s, &p) {
			if i.refused(s, &p) {
				errs = append(errs,
					fmt.Errorf("%s: its %s of port %d would be refused, as no rule lets it in without TLS\n  hint: services: %q: allow: [{from: plaintext: true, paths: [%q]}]",
						where, field, p.Port, s.Name, requestOf(&p).Path))
			}
			continue
		}
		if !slices.ContainsFunc(s.Probes,
			func(q ir.Probe) bool { return q.Port == p.Port && q.Kind == p.Kind && q.Path == p.Path }) {
			errs = append(errs,
				fmt.Errorf("%s: its %s of port %d would be refused, as the kubelet has no identity\n  hint: services: %q: probes: [%s]",
					where, field, p.Port, s.Name, inSpec(p)))
			continue
		}
		if p.Kind == ir.HealthTCP {
			get, err := kyaml.Parse(fmt.Sprintf("path: /tcp/%d\nport: %d\n", p.Port, s.Proxy.HealthPort))
			if err != nil {
				return err
			}
			if err := node.PipeE(kyaml.Tee(kyaml.Clear("tcpSocket")), kyaml.SetField("httpGet", get)); err != nil {
				return err
			}
		}
	}
	return errors.Join(errs...)
}

// byRules reports whether the rules of the service say if a probe is let in, as for all requests without TLS.
func byRules(s *ir.Service, p *ir.Probe) bool {
	port := s.PortAt(p.Port)
	return p.Kind != ir.HealthTCP && port != nil && s.TakesPlaintext(port)
}

// refused reports whether a probe is plainly refused by the rules.
func (i *Injector) refused(s *ir.Service, p *ir.Probe) bool {
	r := requestOf(p)
	r.From, r.Host, r.Port = try.Sender{Kind: try.Outside}, s.Name, s.PortAt(p.Port).Number
	trial, err := try.Try(i.Mesh, r)
	return err != nil || trial.Answer != nil && len(trial.Undecided) == 0
}

// requestOf is the request that a probe makes.
func requestOf(p *ir.Probe) try.Request {
	if p.Kind == ir.HealthGRPC {
		return try.Request{Method: "POST", Scheme: "http", Path: "/grpc.health.v1.Health/Check"}
	}
	return try.Request{Method: "GET", Scheme: "http", Path: p.Path}
}

// intercepted reports whether the proxy takes the connections to a port of its pod.
func intercepted(s *ir.Service, port uint16) bool {
	if p := s.PortAt(port); s.Explicit || p != nil && p.Open {
		return p != nil && !p.Open
	}
	return !slices.Contains(s.Proxy.ExcludeInboundPorts, port)
}

func inSpec(p ir.Probe) string {
	switch p.Kind {
	case ir.HealthHTTP:
		return fmt.Sprintf("{port: %d, http: path: %q}", p.Port, p.Path)
	case ir.HealthGRPC:
		return fmt.Sprintf("{port: %d, grpc: {}}", p.Port)
	}
	return fmt.Sprintf("{port: %d, tcp: {}}", p.Port)
}

// probeOf reads a probe of a container; false for one that needs no port.
func probeOf(probe, container *kyaml.RNode) (ir.Probe, bool) {
	for field, kind := range map[string]ir.HealthKind{
		"httpGet": ir.HealthHTTP, "grpc": ir.HealthGRPC,
		"tcpSocket": ir.HealthTCP,
	} {
		handler, err := probe.Pipe(kyaml.Lookup(field))
		if err != nil || handler == nil {
			continue
		}
		port, err := handler.Pipe(kyaml.Lookup("port"))
		if err != nil || port == nil {
			return ir.Probe{}, false
		}
		p := ir.Probe{Kind: kind, Port: portNumber(port.YNode().Value, container)}
		if value(handler, "host") != "" {
			return ir.Probe{}, false // another host than the pod
		}
		if kind == ir.HealthHTTP {
			p.Path, _, _ = strings.Cut(value(handler, "path"), "?")
			if !strings.HasPrefix(p.Path, "/") {
				p.Path = "/" + p.Path
			}
		}
		return p, p.Port != 0
	}
	return ir.Probe{}, false
}

// portNumber is that of a port of the container, which may be written by its name.
func portNumber(written string, container *kyaml.RNode) uint16 {
	if n := number(written); n > 0 && n <= math.MaxUint16 {
		return uint16(n)
	}
	ports, err := container.Pipe(kyaml.Lookup("ports"))
	if err != nil || ports == nil {
		return 0
	}
	elements, err := ports.Elements()
	if err != nil {
		return 0
	}
	for _, port := range elements {
		if n := number(value(port, "containerPort")); value(port, "name") == written && n > 0 && n <= math.MaxUint16 {
			return uint16(n)
		}
	}
	return 0
}
