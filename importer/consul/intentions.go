package consul

import (
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type serviceIntentions struct {
	Meta        map[string]any `json:"meta"`
	Destination struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"destination"`
	Sources []intention     `json:"sources"`
	JWT     *jwtRequirement `json:"jwt"`
}

// intention is what a source may do.
type intention struct {
	Name          string       `json:"name"`
	Namespace     string       `json:"namespace"`
	Partition     string       `json:"partition"`
	Peer          string       `json:"peer"`
	SamenessGroup string       `json:"samenessGroup"`
	Type          string       `json:"type"`
	Description   string       `json:"description"`
	Action        string       `json:"action"`
	Permissions   []permission `json:"permissions"`
	// Fields that Consul itself writes.
	Precedence int    `json:"precedence"`
	LegacyID   string `json:"legacyID"`
}

// decision is what holds for a source: an action, or permissions, and where it is said.
type decision struct {
	intention
	object *importer.Object
	at     []string
	jwt    *jwtRequirement // of all sources of the destination
}

// plainly reports whether all requests are let in, or none are.
func (d *decision) plainly(action string) bool { return d.intention.plainly(action) && d.jwt == nil }

func (i *intention) plainly(action string) bool { return len(i.Permissions) == 0 && i.Action == action }

// same reports whether two decisions let in the same requests.
func (d *decision) same(o *decision) bool {
	return d.Action == o.Action && reflect.DeepEqual(d.Permissions, o.Permissions) && reflect.DeepEqual(d.jwt, o.jwt)
}

// isElsewhere reports whether a service of an intention is in a namespace or a partition other than that of the one
// which was read with its name.
func (m *reader) isElsewhere(name, namespace, partition string) bool {
	own := slices.Contains([]string{"", "default"}, namespace) || name == everyone && namespace == everyone
	if s := m.services[name]; s != nil && s.Namespace == namespace {
		own = true
	}
	return !own || !slices.Contains([]string{"", "default"}, partition)
}

const (
	everyone = "*"
	allow    = "allow"
	deny     = "deny"
	noAction = "an action is allow or deny, and this one is taken for deny"
)

// intentions writes who may call the services. The most specific intention for a source and a destination holds: by the
// destination first, then by the source.
func (m *reader) intentions() {
	byDestination := map[string]map[string]*decision{}
	for _, o := range importer.Of(m.objects, group, "ServiceIntentions") {
		var d serviceIntentions
		if !m.Decode(o, "spec", &d) {
			continue
		}
		name := d.Destination.Name
		if name == "" {
			name = o.Metadata.Name
		}
		if name != everyone && m.services[name] == nil && !m.outside[name] {
			m.NotCarried(o, "no service "+name+" was read", "spec", "destination", "name")
		}
		if byDestination[name] == nil {
			byDestination[name] = map[string]*decision{}
		}
		for i, s := range d.Sources {
			at := []string{"spec", "sources", strconv.Itoa(i)}
			if s.Peer != "" || s.SamenessGroup != "" {
				m.NotCarried(o, "the mesh has no peers: write from: identities and mesh.trustDomains", at...)
				continue
			}
			if m.isElsewhere(s.Name, s.Namespace, s.Partition) || m.isElsewhere(name, d.Destination.Namespace, "") {
				m.NotCarried(o, "services are of one namespace and partition here: nobody is let in for it", at...)
				if s.plainly(allow) || s.Name != everyone && name != everyone {
					continue
				}
				s.Action, s.Permissions = deny, nil
			}
			if len(s.Permissions) == 0 && s.Action != allow && s.Action != deny {
				m.NotCarried(o, noAction, append(at, "action")...)
			}
			one := &decision{s, o, at, d.JWT}
			if before := byDestination[name][s.Name]; before != nil && !before.same(one) {
				m.NotCarried(o, before.object.String()+" says something else of "+s.Name+": nobody is let in for both", at...)
				one.Action, one.Permissions = deny, nil
			}
			byDestination[name][s.Name] = one
		}
	}
	standard := m.standard(byDestination)
	m.outward(byDestination, standard)
	for _, name := range slices.Sorted(maps.Keys(m.services)) {
		s := m.services[name]
		if len(s.Spec.Ports) == 0 {
			continue
		}
		own, every := byDestination[name], byDestination[everyone]
		sources := maps.Clone(own)
		if sources == nil {
			sources = map[string]*decision{}
		}
		if own[everyone] == nil {
			for source, d := range every {
				if sources[source] == nil {
					sources[source] = d
				}
			}
		}
		rest := sources[everyone]
		if delete(sources, everyone); rest == nil {
			rest = &decision{intention: intention{Name: everyone, Action: standard}, object: s.Object}
		}
		m.rules(s, sources, rest, standard)
		if s.Spec.MTLS.Value == "permissive" {
			s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{From: &spec.Peers{Plaintext: spec.Written(true)}})
		}
	}
}

// outward leaves services with the externals that intentions let them call.
func (m *reader) outward(known map[string]map[string]*decision, standard string) {
	for source, s := range m.services {
		m.Sees[s.Name] = func(h importer.Host) bool {
			name, is := m.destinations[h.Name]
			if !is {
				return true
			}
			for _, to := range []string{name, everyone} {
				for _, from := range []string{source, everyone} {
					if d := known[to][from]; d != nil {
						return d.plainly(allow)
					}
				}
			}
			return standard == allow
		}
	}
}

// standard is what holds where no intention does: that of the options, or deny, which is told where it is not said.
func (m *reader) standard(known map[string]map[string]*decision) string {
	if m.DefaultIntentions != "" {
		return m.DefaultIntentions
	}
	if d := known[everyone][everyone]; d == nil {
		for _, s := range m.Sorted() {
			m.Note(s.Object, "nothing says what holds without an intention, and deny is taken: --default-intentions says it "+
				"(default_intention_policy, or that of ACLs)")
			break
		}
	}
	return deny
}

// rules writes the rules of a service: what holds for each of its sources, and for the rest.
func (m *reader) rules(s *importer.Service, sources map[string]*decision, rest *decision, standard string) {
	names := slices.Sorted(maps.Keys(sources))
	var open, closed []string // those that are let in, or not, with all requests
	var some []*decision
	for _, name := range names {
		switch d := sources[name]; {
		case d.plainly(allow):
			open = append(open, name)
		case d.plainly(deny):
			closed = append(closed, name)
		default:
			some = append(some, d)
		}
	}
	switch {
	case rest.plainly(allow) && len(some) == 0:
		s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{From: &spec.Peers{Anyone: spec.Written(true)}})
		if from := m.peers(closed); from != nil {
			s.Spec.Deny = append(s.Spec.Deny, &spec.Rule{From: from})
		}
		return
	case rest.plainly(allow):
		open = append(open, m.others(s, sources)...)
	}
	m.missing(sources)
	if from := m.peers(open); from != nil {
		s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{From: from})
	}
	for _, d := range some {
		if from := m.peers([]string{d.Name}); from != nil {
			m.permissions(s, d, from, standard)
		}
	}
	if len(rest.Permissions) == 0 && rest.jwt == nil {
		return
	}
	from := &spec.Peers{Anyone: spec.Written(true)}
	if len(sources) > 0 { // rules add up, and what is said of the rest is not for these
		from = m.peers(m.others(s, sources))
	}
	if from != nil {
		m.permissions(s, rest, from, standard)
	}
}

// others are the services and gateways that are not among the sources of a service.
func (m *reader) others(s *importer.Service, sources map[string]*decision) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.services)) {
		if sources[name] == nil && m.services[name] != s {
			out = append(out, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.gateways)) {
		if sources[name] == nil {
			out = append(out, name)
		}
	}
	return out
}

// missing tells the sources that were not read.
func (m *reader) missing(sources map[string]*decision) {
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		d := sources[name]
		if m.services[name] == nil && m.gateways[name] == "" && d.Action != deny && !m.told["source "+name] {
			m.told["source "+name] = true
			m.NotCarried(d.object, "no service "+name+" was read, and it is let in nowhere", d.at...)
		}
	}
}

// peers are services and gateways by their names in Consul; nil for none that was read.
func (m *reader) peers(names []string) *spec.Peers {
	out := &spec.Peers{}
	for _, name := range names {
		if s := m.services[name]; s != nil {
			out.Services = append(out.Services, spec.Written(s.Name))
		} else if gateway := m.gateways[name]; gateway != "" {
			out.Gateways = append(out.Gateways, spec.Written(gateway))
		}
	}
	if out.Services == nil && out.Gateways == nil {
		return nil
	}
	return out
}
