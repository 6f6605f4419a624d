package serve

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// liveMesh is the mesh with its present instances. Its lock is held only briefly, and no other part is called under
// it. Readers get a [view], which never changes.
type liveMesh struct {
	mu   sync.Mutex
	view *view
	ends time.Time // when the time of the next rule is over; zero for never
	// wrong describes the errors in the endpoints files; empty if there are none.
	wrong string
	moves movements
}

// view is the mesh at one moment: the compiled mesh and the instances of its services. It is immutable; each change
// creates a new one.
type view struct {
	mesh *ir.Mesh // as it was compiled; nil before the first
	// files are the contents of the endpoints files by name, and found the endpoints of the services that name one.
	files map[string][]fileEndpoint
	found map[string][]live.Endpoint
	// byFile are the services that name a file.
	byFile map[string][]*ir.Service
	// pods are those of the namespaces where they are known, by namespace and the plain name of the service.
	pods map[string]*table[[]live.Endpoint]
	// services are the cluster IPs of Services of Kubernetes, by namespace and name.
	services map[string]*table[[]string]
	// starting are the names of instances that take no requests yet, by service.
	starting map[string][]string
	// changes number the last change of the instances of each service.
	changes *table[uint64]
	last    uint64
}

// changed numbers a change of the instances of services, from the present view to the next.
func (l *liveMesh) changed(v *view, services map[string]bool) {
	if len(services) == 0 {
		return
	}
	l.moves.note(l.view, v, services, time.Now())
	v.last++
	numbers := make(map[string]uint64, len(services))
	for name := range services {
		numbers[name] = v.last
	}
	v.changes = v.changes.replace(numbers)
}

func newLiveMesh() *liveMesh { return &liveMesh{view: &view{}} }

// now returns the present view.
func (l *liveMesh) now() *view {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view
}

// setMesh replaces the mesh that is served. It returns the members whose proxies may get another configuration by that.
func (l *liveMesh) setMesh(m *ir.Mesh, now time.Time) *changed {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, next := l.view.mesh, *l.view
	ended := !l.ends.IsZero() && !now.Before(l.ends) // and [liveMesh.endRules] has not seen it yet
	next.mesh = m
	next.find()
	c := changes(before, m)
	l.moves.note(l.view, &next, c.services, now)
	l.view, l.ends = &next, nextEnd(m, now)
	if ended {
		return &changed{all: true}
	}
	return c
}

// setFiles takes over the content of endpoints files; files that are not in the map keep their content. It returns
// the services whose instances have changed.
func (l *liveMesh) setFiles(files map[string][]fileEndpoint) (changed map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, next := l.view, *l.view
	next.files = maps.Clone(before.files)
	if next.files == nil {
		next.files = map[string][]fileEndpoint{}
	}
	maps.Copy(next.files, files)
	next.found, changed = maps.Clone(before.found), map[string]bool{}
	if next.found == nil {
		next.found = map[string][]live.Endpoint{}
	}
	for name := range files {
		for _, s := range next.byFile[name] {
			list := endpointsOf(s, files[name])
			if was, known := before.found[s.Name]; !known || !reflect.DeepEqual(was, list) {
				next.found[s.Name], changed[s.Name] = list, true
			}
		}
	}
	l.changed(&next, changed)
	l.view = &next
	return changed
}

// setWrong records the errors in the endpoints files, and reports whether they have changed.
func (l *liveMesh) setWrong(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := text != l.wrong
	l.wrong = text
	return news
}

// wrongFiles is what is wrong with the endpoints files; empty for nothing.
func (l *liveMesh) wrongFiles() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrong
}

// setPods takes over the pods of a namespace. It returns the services of the mesh whose instances have changed, and
// whether the namespace was unknown before, when callers looked up its services by DNS.
func (l *liveMesh) setPods(namespace string, pods map[string][]live.Endpoint) (changed map[string]bool, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.view.pods[namespace]
	next := *l.view
	if next.pods = maps.Clone(next.pods); next.pods == nil {
		next.pods = map[string]*table[[]live.Endpoint]{}
	}
	var after *table[[]live.Endpoint]
	after = after.replace(pods)
	next.pods[namespace] = after
	defer func() { l.view = &next }()
	if next.mesh == nil {
		return nil, !known
	}
	changed, kept := map[string]bool{}, map[string][]live.Endpoint{}
	for _, s := range next.mesh.Services {
		name := s.PlainName()
		if s.Namespace != namespace {
			continue
		}
		if _, told := pods[name]; !told && before.get(name) != nil {
			// Who looks at the cluster may be a mesh ahead: what is still served keeps its pods.
			kept[name] = before.get(name)
		} else if !known || !reflect.DeepEqual(before.get(name), after.get(name)) {
			changed[s.Name] = true
		}
	}
	next.pods[namespace] = after.replace(kept)
	l.changed(&next, changed)
	return changed, !known
}

// changePods takes over the pods of some services of a namespace, by their plain names. It returns the services of the
// mesh whose instances have changed. The work is in proportion to what is told, however many services there are.
func (l *liveMesh) changePods(namespace string, pods map[string][]live.Endpoint) (changed map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.view.pods[namespace]
	if !known {
		return nil // all of them are told first
	}
	next := *l.view
	next.pods = maps.Clone(next.pods)
	next.pods[namespace] = before.replace(pods)
	changed = map[string]bool{}
	if next.mesh != nil {
		for name, list := range pods {
			if s := next.mesh.Service(ir.QualifiedName(name, namespace)); s != nil &&
				!reflect.DeepEqual(before.get(name), list) {
				changed[s.Name] = true
			}
		}
	}
	l.changed(&next, changed)
	l.view = &next
	return changed
}

// forgetPods removes the pods of a namespace. It returns the services of the mesh that are affected.
func (l *liveMesh) forgetPods(namespace string) (changed map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = map[string]bool{}
	if _, known := l.view.pods[namespace]; !known {
		return changed
	}
	next := *l.view
	next.pods = maps.Clone(next.pods)
	delete(next.pods, namespace)
	if next.mesh != nil {
		for _, s := range next.mesh.Services {
			if s.Namespace == namespace && s.Workload.InCluster() {
				changed[s.Name] = true
			}
		}
	}
	l.changed(&next, changed)
	l.view = &next
	return changed
}

// setStarting takes over the instances that are not ready yet. It returns the services for which they have changed.
func (l *liveMesh) setStarting(starting map[string][]string) (changed map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = map[string]bool{}
	for _, lists := range []map[string][]string{l.view.starting, starting} {
		for name := range lists {
			if !slices.Equal(l.view.starting[name], starting[name]) {
				changed[name] = true
			}
		}
	}
	next := *l.view
	next.starting = starting
	l.changed(&next, changed)
	l.view = &next
	return changed
}

// find determines the endpoints of services that have an endpoints file.
func (v *view) find() {
	v.found, v.byFile = map[string][]live.Endpoint{}, map[string][]*ir.Service{}
	if v.mesh == nil {
		return
	}
	for _, s := range v.mesh.Services {
		if s.Workload.File == "" {
			continue
		}
		v.byFile[s.Workload.File] = append(v.byFile[s.Workload.File], s)
		if list, ok := v.files[s.Workload.File]; ok {
			v.found[s.Name] = endpointsOf(s, list)
		}
	}
}

// known reports whether the instances of a service in Kubernetes are known.
func (v *view) known(u *ir.Upstream) bool {
	_, known := v.pods[u.Namespace]
	return known && u.Workload.InCluster()
}

// watched returns the names, sorted, of those callees in Kubernetes whose pods are known.
func (v *view) watched(callees map[string]*ir.Upstream) (names []string) {
	for _, name := range sortedKeys(callees) {
		if v.known(callees[name]) {
			names = append(names, name)
		}
	}
	return names
}

// instances returns the instances of a service that callers are sent. Pods that accept no requests are not among
// them.
func (v *view) instances(u *ir.Upstream) []live.Endpoint {
	if v.known(u) {
		return slices.DeleteFunc(slices.Clone(v.pods[u.Namespace].get(u.PlainName())), func(e live.Endpoint) bool {
			return e.Unhealthy
		})
	}
	list, found := v.found[u.Name]
	if !found {
		list = live.Written(u)
	}
	if starting := v.starting[u.Name]; len(starting) > 0 {
		list = slices.Clone(list)
		for i := range list {
			list[i].Unhealthy = list[i].Unhealthy || slices.Contains(starting, list[i].Name)
		}
	}
	return list
}

// place returns where an instance of the service runs: its pod, or the endpoint in the spec. (An endpoints file says
// where callers find instances, not where these listen.) It is nil if this is not known.
func (v *view) place(s *ir.Service, instance string) *ir.Endpoint {
	if !s.Workload.InCluster() {
		return s.Endpoint(instance)
	}
	list := v.pods[s.Namespace].get(s.PlainName())
	if i := slices.IndexFunc(list, func(e live.Endpoint) bool { return e.Name == instance }); i >= 0 {
		return &list[i].Endpoint
	}
	return nil
}

// misnamed describes the endpoints of a file that name a port which their service does not have, or that do not say
// which of several ports they mean; "" if there are none.
func (v *view) misnamed(file string, list []fileEndpoint) string {
	for _, service := range v.byFile[file] {
		if why := misnamedPorts(service, list); why != "" {
			return why
		}
	}
	return ""
}

// concerns reports whether the endpoint assignments of a member's proxies depend on one of these services.
func (v *view) concerns(n *node, services map[string]bool) bool {
	var uses []ir.Use
	if n.memberKind == ir.KindGateway {
		if g := v.mesh.GatewayOf(n.member, n.identity); g != nil {
			uses = g.Uses
		}
	} else if s := v.mesh.ServiceOf(n.member, n.identity); s != nil {
		if services[s.Name] {
			return true // its own place may have changed
		}
		uses = s.Uses
	}
	return slices.ContainsFunc(uses, func(u ir.Use) bool { return services[u.To] })
}
