package link

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

const defaultNamespace = "default"

// service makes a service without its edges and routes.
func (l *linker) service(name string, h home[spec.Service]) *ir.Service {
	here, s := h.place, h.spec
	l.silence(here, s.Silence)
	l.grants(ir.ServiceRef(name), s.Grants)
	service := &ir.Service{
		Upstream: ir.Upstream{
			Name:      name,
			Namespace: s.Namespace.Or(defaultNamespace),
			Created:   s.Create.Value,
			Traffic:   l.traffic(here, s.Traffic()),
			Pos:       h.pos,
		},
		Account: s.Account.Or(ir.PlainName(name)),
		Proxy:   l.proxyOf(here.field("proxy"), s.Proxy),
	}
	service.Ports, service.UDP = apart(l.ports(here, s.Ports, false))
	service.LastHop = ir.LastHopOf(&service.Traffic, &l.mesh.Defaults)
	service.Identity = l.identity(service.Namespace, service.Account)
	service.Authorizer = l.authorizer(here, s.Authorizer)
	service.Plaintext = s.MTLS.Value == "permissive"
	service.Forms = service.Proxy.Requests
	service.Explicit = service.Proxy.Interception == ir.InterceptExplicit
	service.Proxy.PassUndeclared = service.PassesUndeclared()
	service.Workload = l.workload(here, s, slices.Concat(service.Ports, service.UDP))
	service.Further = l.furtherNames(here.field("hosts"), s, service)
	service.Versions = l.versions(here, s, &service.Workload)
	service.LoadBalancer = l.loadBalancer(here.field("loadBalancer"), s.LoadBalancer, service.Ports)
	service.RateLimit = l.rateLimit(here.field("rateLimit"), name, s.RateLimit, false)
	if s.RateLimit != nil {
		l.requestsOnly(here.field("rateLimit"), service.Ports, "a bound on requests", s.RateLimit.Pos)
	}
	l.requestsOnly(here.field("externalAuthorization"), service.Ports, "external authorization", s.Authorizer.Pos)
	l.ofRequests(here, s.Traffic(), service.Ports, name, h.pos)
	l.sharing(here, s.Connections, service.Ports, multiplexed, name, h.pos)
	service.Outliers = l.outliers(here.field("outliers"), s.Outliers, service.Ports)
	service.Health = l.health(here.field("health"), s.Health, service.Ports)
	service.Locality = l.locality(here.field("locality"), s.Locality, &service.Workload)
	service.Probes = l.probes(here, s.Probes, service)
	service.Scrape = l.scrape(here, s.Scrape, service)
	service.Objectives = l.objectives(here.field("objectives"), s.Objectives, service.Ports, name, h.pos)
	service.Telemetry = l.serviceTelemetry(here.field("telemetry"), service, s.Telemetry)
	if service.Proxy.SecretDirectory == "" && l.readsSecrets(&service.Telemetry, s.Uses, "") {
		service.Proxy.SecretDirectory = ir.DefaultSecretDirectory
	}
	l.ownPorts(here, service)
	l.notRedirected(here, service, s.Proxy)
	if !service.Workload.InCluster() {
		l.noTeamsPods(service.Pos, here, name+" has no pods", s.Proxy)
		l.ofPods(here, name+" has no pods", s.Proxy)
	}
	l.unreadByService(here, service, s)
	l.udpByService(here, service, s)
	return service
}

// identity is spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT. Both parts are
// RFC 1123 labels, which are valid SPIFFE path segments.
func (l *linker) identity(namespace, account string) spiffeid.ID {
	return spiffeid.RequireFromSegments(l.trustDomain, "ns", namespace, "sa", account)
}

// ports are those of a service, or of an external, which may have several for one target.
func (l *linker) ports(here place, ports map[string]*spec.Port, external bool) []ir.Port {
	var out []ir.Port
	type transport struct{ numbers, targets map[int]string }
	taken := map[bool]transport{false: {map[int]string{}, map[int]string{}}, true: {map[int]string{}, map[int]string{}}}
	for _, name := range sortedKeys(ports) {
		p := ports[name]
		target := p.Target.Or(p.Port.Value)
		out = append(out, ir.Port{
			Name: name, Number: uint16(p.Port.Value), Target: uint16(target),
			Protocol: ir.Protocol(p.Protocol.Value), Open: p.MTLS.Value == "off",
			Upgrades: l.upgrades(here.field("ports."+name), p), Pos: here.pos(p.Pos),
		})
		of := taken[p.Protocol.Value == string(ir.UDP)] // TCP and UDP may have the same number, as DNS does
		l.distinct(here, of.numbers, p.Port.Value, name, "port", ports)
		if !external {
			l.distinct(here, of.targets, target, name, "target", ports)
		}
	}
	return out
}

func (l *linker) distinct(here place, taken map[int]string, number int, name, what string,
	ports map[string]*spec.Port,
) {
	other, twice := taken[number]
	if !twice {
		taken[number] = name
		return
	}
	if what == "target" && ports[name].Port.Value == ports[other].Port.Value {
		return // said of the port already
	}
	l.add(diag.PortTaken, here.field("ports."+name), fmt.Sprintf("the ports %s and %s have the same %s %d", other, name,
		what, number),
		here.pos(ports[name].Pos), here.pos(ports[other].Pos))
}

// ownPorts refuses ports that the proxy needs for itself.
func (l *linker) ownPorts(here place, s *ir.Service) {
	left := free(&s.Proxy, s.Ports, nil)
	for _, p := range s.Ports {
		switch {
		case slices.Contains(s.Proxy.Ports(), p.Target):
			l.add(diag.PortTaken, here.field("ports."+p.Name), fmt.Sprintf("port %d is used by the proxy", p.Target),
				p.Pos).
				hint("choose another, or move the proxy: %s.proxy", here.path)
		case s.Proxy.Interception == ir.InterceptExplicit && p.Target == p.Number:
			l.add(diag.PortTaken, here.field("ports."+p.Name),
				fmt.Sprintf("the proxy and the application would both listen on port %d", p.Number), p.Pos).
				hint("without redirection the application listens elsewhere: target: %d",
					left.port(uint16(int(p.Number)%50000+10000)))
		}
	}
}

func (l *linker) workload(here place, s *spec.Service, ports []ir.Port) ir.Workload {
	w := s.Workload
	if w == nil {
		return ir.Workload{} // the schema has refused it
	}
	out := ir.Workload{DNS: strings.ToLower(w.DNS.Value), File: w.File.Value, Pos: here.pos(w.Pos)}
	if out.DNS != "" {
		l.notForbidden(here.field("workload.dns"), out.DNS, false, here.pos(w.DNS.Pos))
	}
	var written choice
	for _, pods := range []struct {
		field string
		kind  ir.PodsKind
		name  spec.Field[string]
	}{
		{"deployment", ir.Deployment, w.Deployment},
		{"statefulSet", ir.StatefulSet, w.StatefulSet},
		{"daemonSet", ir.DaemonSet, w.DaemonSet},
		{"job", ir.Job, w.Job},
		{"cronJob", ir.CronJob, w.CronJob},
	} {
		written.add(pods.field, pods.name.IsSet())
		if pods.name.IsSet() {
			out.Pods = &ir.Pods{Kind: pods.kind, Name: pods.name.Value}
		}
	}
	written.add("dns", w.DNS.IsSet())
	written.add("endpoints", w.Endpoints != nil)
	written.add("file", w.File.IsSet())
	if len(written) != 1 {
		l.add(diag.ExactlyOneOf, here.field("workload"),
			fmt.Sprintf("workload has %d of deployment, statefulSet, daemonSet, job, cronJob, dns, endpoints and file, and must have exactly one", len(written)), here.pos(w.Pos)).
			hint("%s", written.instead(`workload: deployment: "name"`))
	}
	if w.Endpoints != nil && len(w.Endpoints) == 0 {
		l.add(diag.EmptyList, here.field("workload.endpoints"), "endpoints is empty, so nothing could answer",
			here.pos(w.Pos)).
			hint(`endpoints: [{address: "10.0.0.1"}]`)
	}
	if out.File != "" && l.mesh.Delivery == ir.DeliveryStatic {
		l.add(diag.NoEffect, here.field("workload.file"),
			`file cannot take effect: with delivery "static" nothing would read it`, here.pos(w.File.Pos)).
			hint(`list the endpoints, or write mesh: delivery: "xds"`)
	}
	taken := map[string]*spec.Endpoint{}
	for i, e := range w.Endpoints {
		out.Endpoints = append(out.Endpoints, l.endpoint(here.field("workload.endpoints").index(i), e, ports, taken))
	}
	return out
}

func (l *linker) versions(here place, s *spec.Service, w *ir.Workload) []ir.Version {
	var out []ir.Version
	for _, name := range sortedKeys(s.Versions) {
		v := s.Versions[name]
		version := ir.Version{Name: name, Labels: map[string]string{}, Workload: v.Workload.Value, Pos: here.pos(v.Pos)}
		at := here.field("versions." + name)
		for _, label := range sortedKeys(v.Labels) {
			value := v.Labels[label]
			version.Labels[label] = value.Value
			if w.InCluster() &&
				!goodLabel(label, value.Value) { // others are compared with those of endpoints, and no more
				l.add(diag.BadFormat, at.field("labels"), fmt.Sprintf("%s: %q is not a valid Kubernetes label", label,
					value.Value), here.pos(value.Pos)).
					hint("name and value have letters, digits, dashes, underscores and dots, at most 63; the name may have a DNS prefix and a slash")
			}
		}
		switch {
		case len(version.Labels) == 0:
			l.add(diag.NoLabels, at,
				fmt.Sprintf("version %s has no labels, so it cannot be distinguished from the others", name),
				version.Pos).
				hint("labels: version: %q", name)
		case w.DNS != "":
			l.add(diag.NoEffect, at, "the instances behind a dns name have no labels, so they have no versions",
				version.Pos).
				hint("list the instances as endpoints, or make it a separate service")
		}
		if version.Workload != "" && !w.InCluster() {
			l.add(diag.NoEffect, at.field("workload"),
				"workload cannot take effect: the instances of the service are not pods", here.pos(v.Workload.Pos),
				w.Pos).
				hint("remove it")
		}
		out = append(out, version)
	}
	return out
}

var (
	labelPart   = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	labelPrefix = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
)

// goodLabel reports whether Kubernetes takes the label: versions select pods by
// them, inside a cluster and out of it.
func goodLabel(name, value string) bool {
	if prefix, rest, ok := strings.Cut(name, "/"); ok {
		if !labelPrefix.MatchString(prefix) {
			return false
		}
		name = rest
	}
	return labelPart.MatchString(name) && (value == "" || labelPart.MatchString(value))
}
