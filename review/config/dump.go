package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// Dump is what an Envoy says of its configuration (GET /config_dump?include_eds).
type Dump struct {
	// Node is the node id that it was started with.
	Node string
	// Dynamic are the resources that it was sent, and Static those that it was started with.
	Dynamic, Static Set
}

// errNoDump is for what no Envoy said.
var errNoDump = errors.New("it is not a config_dump of Envoy")

// state is a resource in a dump, under one of the names that the types of resources have for it.
type state struct {
	Cluster        json.RawMessage `json:"cluster"`
	Listener       json.RawMessage `json:"listener"`
	RouteConfig    json.RawMessage `json:"route_config"`
	EndpointConfig json.RawMessage `json:"endpoint_config"`
	Secret         json.RawMessage `json:"secret"`
	ErrorState     *failure        `json:"error_state"`
}

func (s *state) body() json.RawMessage {
	for _, b := range []json.RawMessage{s.Cluster, s.Listener, s.RouteConfig, s.EndpointConfig, s.Secret} {
		if len(b) > 0 {
			return b
		}
	}
	return nil
}

// failure is why the last version of a resource was refused (envoy.admin.v3.UpdateFailureState).
type failure struct {
	Details             string `json:"details"`
	FailedConfiguration struct {
		Name string `json:"name"`
	} `json:"failed_configuration"`
}

// section is one of the parts of a dump (envoy.admin.v3.ConfigDump); each has some of the lists.
type section struct {
	Bootstrap struct {
		Node struct {
			ID string `json:"id"`
		} `json:"node"`
	} `json:"bootstrap"`
	StaticClusters         []state `json:"static_clusters"`
	DynamicActiveClusters  []state `json:"dynamic_active_clusters"`
	DynamicWarmingClusters []state `json:"dynamic_warming_clusters"`
	StaticListeners        []state `json:"static_listeners"`
	DynamicListeners       []struct {
		Name         string   `json:"name"`
		ActiveState  *state   `json:"active_state"`
		WarmingState *state   `json:"warming_state"`
		ErrorState   *failure `json:"error_state"`
	} `json:"dynamic_listeners"`
	DynamicRouteConfigs    []state `json:"dynamic_route_configs"`
	DynamicEndpointConfigs []state `json:"dynamic_endpoint_configs"`
	DynamicActiveSecrets   []state `json:"dynamic_active_secrets"`
	DynamicWarmingSecrets  []state `json:"dynamic_warming_secrets"`
}

// The notes on what an Envoy does with a resource.
const (
	noteWarming = "warming: it is not in use yet"
	noteRefused = "the next version was refused: "
)

// ParseDump reads what an Envoy said.
func ParseDump(data []byte) (*Dump, error) {
	var all struct {
		Configs []section `json:"configs"`
	}
	if err := json.Unmarshal(data, &all); err != nil || len(all.Configs) == 0 {
		return nil, errNoDump
	}
	d := &Dump{Dynamic: Set{}, Static: Set{}}
	for i := range all.Configs {
		s := &all.Configs[i]
		d.Node = cmp.Or(d.Node, s.Bootstrap.Node.ID)
		if err := errors.Join(
			add(&d.Static, Cluster, s.StaticClusters, ""), add(&d.Static, Listener, s.StaticListeners, ""),
			add(&d.Dynamic, Cluster, s.DynamicActiveClusters, ""),
			add(&d.Dynamic, Cluster, s.DynamicWarmingClusters, noteWarming),
			add(&d.Dynamic, Route, s.DynamicRouteConfigs, ""),
			add(&d.Dynamic, Endpoint, s.DynamicEndpointConfigs, ""),
			add(&d.Dynamic, Secret, s.DynamicActiveSecrets, ""),
			add(&d.Dynamic, Secret, s.DynamicWarmingSecrets, noteWarming),
			d.addListeners(s),
		); err != nil {
			return nil, err
		}
	}
	if d.Node == "" {
		return nil, errNoDump
	}
	d.Dynamic = slices.DeleteFunc(d.Dynamic, d.ofItsCluster)
	return d, nil
}

// ofItsCluster reports whether a resource is Envoy's account of the endpoints of a cluster that has them itself: none
// that was sent.
func (d *Dump) ofItsCluster(r Resource) bool {
	return r.Type == Endpoint && !slices.ContainsFunc(d.Dynamic, func(c Resource) bool {
		tree, err := treeOf(c.Body)
		eds := child(tree, "eds_cluster_config")
		return err == nil && c.Type == Cluster && eds != nil && cmp.Or(text(eds["service_name"]), c.Name) == r.Name
	})
}

func text(v any) string {
	out, _ := v.(string) // or none
	return out
}

// addListeners adds the listeners that were sent. One that warms beside an active one is the newer of the two.
func (d *Dump) addListeners(s *section) error {
	var refused []failure
	for _, l := range s.DynamicListeners {
		of, note := l.ActiveState, ""
		if l.WarmingState != nil {
			note = noteWarming
			if of == nil {
				of = l.WarmingState
			}
		}
		if l.ErrorState != nil {
			failed := *l.ErrorState
			failed.FailedConfiguration.Name = cmp.Or(failed.FailedConfiguration.Name, l.Name)
			refused = append(refused, failed)
		}
		if of != nil { // or it drains
			if err := add(&d.Dynamic, Listener, []state{*of}, note); err != nil {
				return err
			}
		}
	}
	for _, f := range refused {
		note := noteRefused + f.Details
		i := slices.IndexFunc(d.Dynamic, func(r Resource) bool {
			return r.Type == Listener && r.Name == f.FailedConfiguration.Name
		})
		if i >= 0 {
			d.Dynamic[i].Note = note
			continue
		}
		d.Dynamic = append(d.Dynamic, Resource{
			Type: Listener, Name: f.FailedConfiguration.Name, Body: json.RawMessage("{}"), Note: note,
		})
	}
	return nil
}

// add adds resources of a type to a set. They are read and written once more, as fields that have their default are
// written by some and not by others.
func add(to *Set, kind string, states []state, note string) error {
	for i := range states {
		body := states[i].body()
		if len(body) == 0 {
			continue // it has been asked for, and has not come yet
		}
		packed := &anypb.Any{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, packed); err != nil {
			return errors.Join(errNoDump, err)
		}
		m, err := packed.UnmarshalNew()
		if err != nil {
			return errors.Join(errNoDump, err)
		}
		r, err := ResourceOf(kind, m)
		if err != nil {
			return errors.Join(errNoDump, err)
		}
		if r.Note = note; states[i].ErrorState != nil && note == "" {
			r.Note = noteRefused + states[i].ErrorState.Details
		}
		*to = append(*to, r)
	}
	return nil
}
