package istio

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var destinationRuleReasons = map[string]string{
	"exportTo":                        "it holds for every caller",
	"workloadSelector":                "it holds for every caller; a caller's own settings stand in its uses",
	"subsets[].trafficPolicy":         "settings of a connection are the service's, and not a version's",
	"trafficPolicy.portLevelSettings": "settings of a connection are the service's, and not a port's",
	"trafficPolicy.tls":               "between members TLS is always mutual, by their own certificates",
	"trafficPolicy.loadBalancer.localityLbSetting.distribute":            "traffic goes to the nearest, and farther only where those fail: locality",
	"trafficPolicy.connectionPool.http.maxRetries":                       "retries are bounded by a budget: retries: budget",
	"trafficPolicy.connectionPool.http.maxRequestsPerConnection":         "connections are kept",
	"trafficPolicy.connectionPool.http.h2UpgradePolicy":                  "proxies speak what the port says",
	"trafficPolicy.outlierDetection.minHealthPercent":                    "loadBalancer: panicThreshold says when all are tried",
	"trafficPolicy.loadBalancer.consistentHash.httpCookie.path":          "a cookie that a proxy sets is for every path",
	"trafficPolicy.loadBalancer.consistentHash.maglev.tableSize":         "the table has Envoy's own size",
	"trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize": "the ring has Envoy's own size",
	"trafficPolicy.loadBalancer.consistentHash.minimumRingSize":          "the ring has Envoy's own size",
	"trafficPolicy.outlierDetection.splitExternalLocalOriginErrors":      "where answers count, a connection that fails counts as an answer of 503",
	"trafficPolicy.outlierDetection.consecutiveLocalOriginFailures":      "where answers count, a connection that fails counts as an answer of 503",
	"trafficPolicy.connectionPool.tcp.maxConnectionDuration":             "connections are kept while they are used",
	"trafficPolicy.loadBalancer.warmup.minimumPercent":                   "slowStart begins with Envoy's own share",
	"trafficPolicy.loadBalancer.warmup.aggression":                       "slowStart grows evenly",
	"trafficPolicy.loadBalancer.localityLbSetting.failoverPriority":      "locality: failover goes by regions",
	"trafficPolicy.connectionPool.http.useClientProtocol":                "proxies speak what the port says",
	"trafficPolicy.connectionPool.http.maxConcurrentStreams":             "connections: maxRequests bounds the requests of a caller",
	"trafficPolicy.proxyProtocol":                                        "a member knows its caller by its certificate",
	"trafficPolicy.tunnel":                                               "calls that leave the mesh by one place go via an egress gateway: external: via",
	"trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes":      "5xx are counted: consecutive5xx",
	"trafficPolicy.loadBalancer.zoneAwareLbSetting":                      "locality: prefer says which instances are near",
	"trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes":    "a cookie that a proxy sets has no attributes",
	"trafficPolicy.retryBudget.budgetInterval":                           "a budget counts the requests in flight",
}

// destinationRules are the versions of services, and the settings of calls to them.
func (m *reader) destinationRules() {
	seen := map[any]*importer.Object{}
	for _, o := range m.objectsOf(networking, "DestinationRule") {
		var d networkingv1.DestinationRule
		if !m.Decode(o, "spec", &d) {
			continue
		}
		host := importer.Take(&d.Host)
		s, e := m.Lookup(host, o.Metadata.Namespace), m.externalOf(host)
		var target any = s
		if s == nil {
			target = e
		}
		if s == nil && e == nil {
			m.NotCarried(o, "no service that was read has the host "+host, "spec", "host")
			continue
		}
		if other := seen[target]; other != nil {
			m.NotCarried(o, other.String()+" is for the same host")
			continue
		}
		seen[target] = o
		if len(d.ExportTo) == 1 && d.ExportTo[0] == "*" {
			d.ExportTo = nil
		}
		if s != nil {
			m.serviceRule(o, s, &d)
		} else {
			m.externalRule(o, e, d.TrafficPolicy)
		}
		m.Left(o, "spec", &d, destinationRuleReasons)
	}
}

// externalOf is the external of the mesh that has the host; nil when there is none.
func (m *reader) externalOf(host string) *spec.External {
	for _, e := range m.Repository.External {
		for _, h := range e.Hosts {
			if strings.EqualFold(h.Value, host) {
				return e
			}
		}
	}
	return nil
}

func (m *reader) serviceRule(o *importer.Object, s *importer.Service, d *networkingv1.DestinationRule) {
	for i, subset := range d.Subsets {
		name, labels := importer.Take(&subset.Name), importer.Take(&subset.Labels)
		switch {
		case len(labels) == 0:
			m.NotCarried(o, "a version is told apart by labels", "spec", "subsets", strconv.Itoa(i))
		case importer.NameOf(name) != name:
			m.NotCarried(o, strconv.Quote(name)+" is not a valid name in the spec", "spec", "subsets", strconv.Itoa(i),
				"name")
		default:
			s.Version(name, labels)
		}
	}
	p := d.TrafficPolicy
	if p == nil {
		return
	}
	s.Spec.Connections, s.Spec.Outliers = connections(p.ConnectionPool), outliers(p.OutlierDetection)
	loadBalancer(s.Spec, p.LoadBalancer)
	if p.Tls != nil && p.Tls.Mode == networkingv1.ClientTLSSettings_ISTIO_MUTUAL {
		p.Tls.Mode = 0
	}
	if b := p.RetryBudget; b != nil {
		s.Spec.Retries = &spec.Retries{Budget: &spec.Budget{}}
		if percent := importer.Take(&b.Percent); percent != nil {
			s.Spec.Retries.Budget.Percent = spec.Written(percent.Value)
		}
		if n := importer.Take(&b.MinRetryConcurrency); n != 0 {
			s.Spec.Retries.Budget.MinConcurrency = spec.Written(int(n))
		}
	}
}

// externalRule is for calls to an external.
func (m *reader) externalRule(o *importer.Object, e *spec.External, p *networkingv1.TrafficPolicy) {
	if p == nil {
		return
	}
	e.Connections, e.Outliers = m.Bounds(o, connections(p.ConnectionPool), e.Ports, false), outliers(p.OutlierDetection)
	for i, of := range p.PortLevelSettings {
		for _, port := range e.Ports {
			if port.Port.Value == int(of.GetPort().GetNumber()) && originates(e, of.Tls) {
				of.Port = nil
				m.originate(o, port, "portLevelSettings", strconv.Itoa(i))
			}
		}
	}
	if originates(e, p.Tls) {
		for _, name := range slices.Sorted(maps.Keys(e.Ports)) {
			m.originate(o, e.Ports[name])
		}
	}
}

// originates takes what is written of TLS to an external, where proxies are to originate it.
func originates(e *spec.External, t *networkingv1.ClientTLSSettings) bool {
	if t.GetMode() != networkingv1.ClientTLSSettings_SIMPLE {
		return false
	}
	t.Mode = 0
	if t.Sni == e.Hosts[0].Value {
		t.Sni = ""
	}
	if roots := t.CaCertificates; strings.HasPrefix(roots, "/") {
		t.CaCertificates, e.TLS = "", &spec.ExternalTLS{Roots: spec.Written(roots)}
	}
	return true
}

// originate makes a port one to which proxies speak TLS: those of HTTP, of whatever version, as only they can be.
func (m *reader) originate(o *importer.Object, port *spec.Port, at ...string) {
	if port.Protocol.Value == "tcp" {
		m.NotCarried(o, fmt.Sprintf("proxies speak TLS for ports of HTTP alone: what is sent to %d is not encrypted",
			port.Port.Value), slices.Concat([]string{"spec", "trafficPolicy"}, at, []string{"tls"})...)
		return
	}
	port.Protocol = spec.Written("https")
}

func connections(p *networkingv1.ConnectionPoolSettings) *spec.Connections {
	if p == nil {
		return nil
	}
	c := &spec.Connections{}
	if t := p.Tcp; t != nil {
		count(&c.Max, &t.MaxConnections)
		duration(&c.ConnectTimeout, &t.ConnectTimeout)
		if p.Http.GetIdleTimeout() == nil { // one holds for both
			duration(&c.IdleTimeout, &t.IdleTimeout)
		}
		if k := t.TcpKeepalive; k != nil {
			c.Keepalive = &spec.Keepalive{}
			count(&c.Keepalive.Probes, &k.Probes)
			duration(&c.Keepalive.Time, &k.Time)
			duration(&c.Keepalive.Interval, &k.Interval)
		}
	}
	if h := p.Http; h != nil {
		count(&c.MaxPending, &h.Http1MaxPendingRequests)
		count(&c.MaxRequests, &h.Http2MaxRequests)
		duration(&c.IdleTimeout, &h.IdleTimeout)
	}
	if *c == (spec.Connections{}) {
		return nil
	}
	return c
}

// count carries a number over that is 0 when it is not written.
func count[T int32 | uint32](into *spec.Field[int], from *T) {
	if n := importer.Take(from); n != 0 {
		*into = spec.Written(int(n))
	}
}

func duration(into *spec.Field[string], from **durationpb.Duration) {
	if d := importer.Take(from); d != nil && d.AsDuration() > 0 {
		*into = spec.Written(importer.Duration(d.AsDuration().Round(time.Microsecond)))
	}
}
