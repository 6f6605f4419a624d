package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// secretHeaders are the headers of reports, without those that gRPC writes itself.
func (l *linker) secretHeaders(here place, headers map[string]*spec.SecretValue) (out []ir.SecretHeader) {
	for _, name := range sortedKeys(headers) {
		s, at := headers[name], here.field(name)
		if slices.Contains(ofTheConnection, name) || slices.Contains(ofGRPC, name) || strings.HasPrefix(name, "grpc-") {
			l.add(diag.NoEffect, at, fmt.Sprintf("the header %s is written by gRPC itself", name), at.pos(s.Pos)).
				hint("remove it")
			continue
		}
		out = append(out, ir.SecretHeader{Name: name, SecretValue: secretValue(at, s, name)})
	}
	return out
}

// secretValue is where a value is; key is what it is called where nothing else is written.
func secretValue(here place, s *spec.SecretValue, key string) ir.SecretValue {
	return ir.SecretValue{Secret: s.Secret.Value, Key: s.Key.Or(key), Pos: here.pos(s.Pos)}
}

// ofGRPC are headers of a request that its transport writes (gRPC over HTTP/2).
var ofGRPC = []string{"content-type", "host", "user-agent"}

// secretsAreKept refuses headers of reports that everybody between could read.
func (l *linker) secretsAreKept(here place, c *ir.Collector, e home[spec.External]) {
	p := e.spec.Ports[c.Port]
	if len(c.Headers) == 0 || p == nil || ir.Protocol(p.Protocol.Value) == ir.HTTPS {
		return
	}
	l.add(diag.SecretsInClear, here,
		fmt.Sprintf("the port %s of %s takes no TLS, so everybody on the way could read the headers", c.Port, c.To),
		c.Headers[0].Pos, e.place.pos(p.Protocol.Pos)).
		hint(`write protocol: "https" at external.%s.ports.%s, or remove the headers`, c.To, c.Port)
}

// showsHeaders reports whether proxies that report this read secrets for it.
func (l *linker) showsHeaders(t *ir.Telemetry) bool {
	return l.mesh.Collector != nil && len(l.mesh.Collector.Headers) > 0 && t.ByOTLP()
}
