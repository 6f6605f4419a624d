package consul

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type serviceSplitter struct {
	Meta   map[string]any `json:"meta"`
	Splits []struct {
		Weight          float64      `json:"weight"`
		Service         string       `json:"service"`
		ServiceSubset   string       `json:"serviceSubset"`
		Namespace       string       `json:"namespace"`
		Partition       string       `json:"partition"`
		RequestHeaders  *headerEdits `json:"requestHeaders"`
		ResponseHeaders *headerEdits `json:"responseHeaders"`
	} `json:"splits"`
}

type serviceResolver struct {
	Meta          map[string]any `json:"meta"`
	DefaultSubset string         `json:"defaultSubset"`
	Subsets       map[string]struct {
		Filter      string `json:"filter"`
		OnlyPassing bool   `json:"onlyPassing"`
	} `json:"subsets"`
	Redirect *struct {
		Service       string `json:"service"`
		ServiceSubset string `json:"serviceSubset"`
		Namespace     string `json:"namespace"`
		Partition     string `json:"partition"`
		Datacenter    string `json:"datacenter"`
		Peer          string `json:"peer"`
		SamenessGroup string `json:"samenessGroup"`
	} `json:"redirect"`
	Failover             map[string]map[string]any `json:"failover"`
	ConnectTimeout       string                    `json:"connectTimeout"`
	RequestTimeout       string                    `json:"requestTimeout"`
	PrioritizeByLocality *struct {
		Mode string `json:"mode"`
	} `json:"prioritizeByLocality"`
	LoadBalancer *loadBalancer `json:"loadBalancer"`
}

type loadBalancer struct {
	Policy       string `json:"policy"`
	HashPolicies []struct {
		Field        string `json:"field"`
		FieldValue   string `json:"fieldValue"`
		SourceIP     bool   `json:"sourceIP"`
		Terminal     bool   `json:"terminal"`
		CookieConfig *struct {
			Session bool   `json:"session"`
			Path    string `json:"path"`
			TTL     string `json:"ttl"`
		} `json:"cookieConfig"`
	} `json:"hashPolicies"`
	LeastRequestConfig map[string]any `json:"leastRequestConfig"`
	RingHashConfig     map[string]any `json:"ringHashConfig"`
}

func lower(text string) string { return strings.ToLower(text) }

// byMeta is a filter of a subset that the language can say: a value of the instances' metadata.
var byMeta = regexp.MustCompile(`^\s*"?Service\.Meta\.([A-Za-z0-9_-]+)"?\s*==\s*["` + "`" + `]?([^"` + "`" + `]*?)["` + "`" + `]?\s*$`)

// subsets makes versions of the subsets of resolvers.
func (m *reader) subsets() {
	for name, e := range m.resolvers {
		s := m.services[name]
		if s == nil {
			continue // which is told
		}
		for _, subset := range slices.Sorted(maps.Keys(e.spec.Subsets)) {
			d := e.spec.Subsets[subset]
			at := []string{"spec", "subsets", subset}
			found := byMeta.FindStringSubmatch(d.Filter)
			if found == nil || importer.NameOf(subset) != subset {
				m.NotCarried(e.object, "a version has labels: its filter is not of the form Service.Meta.KEY == VALUE, or it is no "+
					"valid name", append(at, "filter")...)
				continue
			}
			if d.OnlyPassing {
				m.NotCarried(e.object, "instances that are not well are left alone by health and outliers", append(at,
					"onlyPassing")...)
			}
			labels := m.labelsOf(s, found[1], found[2])
			if labels == nil {
				m.NotCarried(e.object, fmt.Sprintf("no instance that was read has %s = %s, or no label tells its pods from others",
					found[1], found[2]), append(at, "filter")...)
				continue
			}
			s.Version(subset, labels)
		}
	}
}

// labelsOf are the labels of those instances of a service that have a value in their metadata; nil for none.
func (m *reader) labelsOf(s *importer.Service, key, value string) map[string]string {
	for _, e := range s.Spec.Workload.Endpoints {
		if e.Labels[key].Value == value {
			return map[string]string{key: value}
		}
	}
	for i, w := range s.Workloads {
		if w.Annotations[meta+key] != value {
			continue
		}
		if len(s.Workloads) == 1 {
			return w.Labels
		}
		for _, v := range s.Spec.Versions {
			if v.Workload.Value == w.Name || i == 0 && !v.Workload.IsSet() {
				out := map[string]string{}
				for name, f := range v.Labels {
					out[name] = f.Value
				}
				return out
			}
		}
	}
	return nil
}

// maxHops is how many splitters and resolvers may lead to another one.
const maxHops = 16

// share is a service, or a subset of it, with its share of the requests, in hundredths of a percent.
type share struct {
	name, subset string
	weight       float64
}

// shares are where requests for a service go: by its splitter, unless a subset is asked for, and its resolver.
func (m *reader) shares(o *importer.Object, name, subset string, weight float64, hops int) []share {
	if hops > maxHops {
		m.NotCarried(o, "splitters and resolvers lead to each other without an end: "+name)
		return nil
	}
	if splitter := m.splitters[name]; splitter != nil && subset == "" && len(splitter.spec.Splits) > 0 {
		var out []share
		for i, split := range splitter.spec.Splits {
			if split.RequestHeaders != nil || split.ResponseHeaders != nil {
				m.NotCarried(splitter.object, "what is done to a request is done for a whole route", "spec", "splits",
					strconv.Itoa(i))
			}
			to := split.Service
			if to == "" {
				to = name
			}
			part := weight * split.Weight / 100
			if to == name && split.ServiceSubset == "" {
				out = append(out, m.resolved(o, to, "", part, hops+1)...)
				continue
			}
			out = append(out, m.shares(o, to, split.ServiceSubset, part, hops+1)...)
		}
		return out
	}
	return m.resolved(o, name, subset, weight, hops)
}

// resolved is where the resolver of a service has its requests go.
func (m *reader) resolved(o *importer.Object, name, subset string, weight float64, hops int) []share {
	r := m.resolvers[name]
	if r == nil {
		return []share{{name, subset, weight}}
	}
	if d := r.spec.Redirect; d != nil {
		if d.Datacenter != "" || d.Peer != "" || d.SamenessGroup != "" {
			m.NotCarried(r.object, "its requests would go to another datacenter", "spec", "redirect")
			return nil
		}
		to := d.Service
		if to == "" {
			to = name
		}
		if to == name {
			return []share{{name, d.ServiceSubset, weight}}
		}
		return m.shares(o, to, d.ServiceSubset, weight, hops+1)
	}
	if subset == "" {
		subset = r.spec.DefaultSubset
	}
	return []share{{name, subset, weight}}
}

// leads writes where a route sends requests for a service. Where nothing of it was read they get 503, as in Consul.
func (m *reader) leads(o *importer.Object, r *spec.Route, name, subset string, at *importer.Service) {
	shares := m.shares(o, name, subset, 10000, 0)
	for _, s := range shares {
		if s.weight == 0 && len(shares) > 1 {
			continue
		}
		to := m.services[s.name]
		if to == nil || s.subset != "" && to.Spec.Versions[s.subset] == nil {
			m.NotCarried(o, "no "+strings.TrimSpace(s.name+" "+s.subset)+" was read, and its share of the requests goes to the "+
				"others")
			continue
		}
		if to.PortsOfHTTP() == 0 {
			m.NotCarried(o, s.name+" speaks no HTTP by its service-defaults or proxy-defaults")
			continue
		}
		d := &spec.Destination{}
		if to != at {
			d.Service = spec.Written(to.Name)
		}
		if s.subset != "" {
			d.Version = spec.Written(s.subset)
		}
		if len(shares) > 1 {
			d.Weight = spec.Written(int(math.Round(s.weight)))
		}
		r.To = append(r.To, d)
	}
	reduce(r.To)
	if len(r.To) == 0 {
		r.DirectResponse = &spec.DirectResponse{Status: spec.Written(503)}
	}
}

// reduce divides weights by what all of them can be divided by.
func reduce(to []*spec.Destination) {
	by := 0
	for _, d := range to {
		for a, b := d.Weight.Value, by; ; a, b = b, a%b {
			if b == 0 {
				by = a
				break
			}
		}
	}
	for _, d := range to {
		if by > 1 {
			d.Weight = spec.Written(d.Weight.Value / by)
		}
		if len(to) == 1 {
			d.Weight = spec.Field[int]{}
		}
	}
}

// timeout writes that of the resolver of a service.
func (m *reader) timeout(name string, r *spec.Route) {
	if e := m.resolvers[name]; e != nil && r.DirectResponse == nil {
		if length, ok := length(e.spec.RequestTimeout); ok {
			r.Timeout = spec.Written(length)
		}
	}
}

// policies are those of load balancing.
var policies = map[string]string{
	"random": "random", "round_robin": "round-robin", "least_request": "least-request", "ring_hash": "ring-hash",
	"maglev": "maglev",
}

// balance reads how the resolver of a service has instances chosen.
func (m *reader) balance(name string, s *importer.Service) {
	e := m.resolvers[name]
	if e == nil {
		return
	}
	if length, ok := length(e.spec.ConnectTimeout); ok {
		s.Spec.Connections = &spec.Connections{ConnectTimeout: spec.Written(length)}
	}
	if len(e.spec.Failover) > 0 {
		m.NotCarried(e.object, "requests go to no other service or datacenter when instances fail", "spec", "failover")
	}
	if p := e.spec.PrioritizeByLocality; p != nil && p.Mode == "failover" {
		s.Spec.Locality = &spec.Locality{Prefer: spec.Written("zone")}
	}
	b := e.spec.LoadBalancer
	if b == nil || policies[b.Policy] == "" {
		return
	}
	s.Spec.LoadBalancer = &spec.LoadBalancer{Policy: spec.Written(policies[b.Policy])}
	if len(b.LeastRequestConfig)+len(b.RingHashConfig) > 0 {
		m.NotCarried(e.object, "the language has no sizes of rings and no number of choices", "spec", "loadBalancer")
	}
	for i, h := range b.HashPolicies {
		at := []string{"spec", "loadBalancer", "hashPolicies", strconv.Itoa(i)}
		hash := &spec.Hash{}
		switch {
		case i > 0:
			m.NotCarried(e.object, "one thing is hashed", at...)
			continue
		case h.SourceIP:
			hash.SourceIP = spec.Written(true)
		case h.Field == "header":
			hash.Header = spec.Written(lower(h.FieldValue))
		case h.Field == "query_parameter":
			hash.Query = spec.Written(h.FieldValue)
		case h.Field == "cookie":
			hash.Cookie = spec.Written(h.FieldValue)
			if h.CookieConfig != nil {
				if length, ok := length(h.CookieConfig.TTL); ok {
					hash.TTL = spec.Written(length)
				}
			}
		default:
			m.NotCarried(e.object, "the language hashes nothing like it", at...)
			continue
		}
		s.Spec.LoadBalancer.Hash = hash
	}
	if s.Spec.LoadBalancer.Hash == nil && slices.Contains([]string{"ring_hash", "maglev"}, b.Policy) {
		s.Spec.LoadBalancer.Hash = &spec.Hash{SourceIP: spec.Written(true)}
	}
}
