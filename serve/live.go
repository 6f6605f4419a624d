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

// liveMesh is the mesh as it is at the moment. Its lock is held for moments, and nothing else is called under it:
// who wants to know takes the [view], which does not change.
type liveMesh struct {
	mu   sync.Mutex
	view *view
	ends time.Time // when the time of the next rule is over; zero for never
	// wrong is what is wrong with the endpoints files; empty for nothing.
	wrong string
}

// view is the mesh at one moment: what was compiled, and the instances that its services have. It is immutable; what
// changes makes another one.
type view struct {
	mesh *ir.Mesh // as it was compiled; nil before the first
	// files are the contents of the endpoints files by name, and found the endpoints of the services that name one.
	files map[string][]fileEndpoint
	found map[string][]live.Endpoint
	// pods are those of the namespaces where they are known, by namespace and service.
	pods map[string]map[string][]live.Endpoint
	// starting are the names of instances that take no requests yet, by service.
	starting map[string][]string
}

func newLiveMesh() *liveMesh { return &liveMesh{view: &view{}} }

// now is the mesh at this moment.
func (l *liveMesh) now() *view {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view
}

// setMesh makes that mesh the one that is served.
func (l *liveMesh) setMesh(m *ir.Mesh, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := *l.view
	next.mesh = m
	next.find()
	l.view, l.ends = &next, nextEnd(m, now)
}

// setFiles takes the contents of endpoints files, besides those that are known already. It returns the services whose
// instances are others now.
func (l *liveMesh) setFiles(files map[string][]fileEndpoint) (changed map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, next := l.view, *l.view
	next.files = maps.Clone(before.files)
	if next.files == nil {
		next.files = map[string][]fileEndpoint{}
	}
	maps.Copy(next.files, files)
	next.find()
	l.view = &next
	changed = map[string]bool{}
	for name, list := range next.found {
		if was, known := before.found[name]; !known || !reflect.DeepEqual(was, list) {
			changed[name] = true
		}
	}
	return changed
}

// setWrong notes what is wrong with the endpoints files, and reports whether that is news.
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

// setPods takes the pods of a namespace. It returns the services of the mesh whose instances are others now, and
// whether the namespace was not known before: then callers have looked its services up by DNS.
func (l *liveMesh) setPods(namespace string, pods map[string][]live.Endpoint) (changed map[string]bool, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.view.pods[namespace]
	next, pods := *l.view, maps.Clone(pods)
	if next.pods = maps.Clone(next.pods); next.pods == nil {
		next.pods = map[string]map[string][]live.Endpoint{}
	}
	if next.pods[namespace] = pods; pods == nil {
		next.pods[namespace] = map[string][]live.Endpoint{}
	}
	l.view = &next
	if next.mesh == nil {
		return nil, !known
	}
	// Who looks at the cluster may be a mesh ahead: what is still served keeps its pods.
	for name, list := range before {
		if _, told := pods[name]; !told && next.mesh.Service(name) != nil {
			next.pods[namespace][name] = list
		}
	}
	changed = map[string]bool{}
	for _, s := range next.mesh.Services {
		if s.Namespace == namespace && (!known || !reflect.DeepEqual(before[s.Name], next.pods[namespace][s.Name])) {
			changed[s.Name] = true
		}
	}
	return changed, !known
}

// forgetPods makes the pods of a namespace unknown. It returns the services of the mesh that it concerns.
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
	l.view = &next
	if next.mesh != nil {
		for _, s := range next.mesh.Services {
			if s.Namespace == namespace && s.Workload.InCluster() {
				changed[s.Name] = true
			}
		}
	}
	return changed
}

// setStarting takes the instances that take no requests yet. It returns the services for which they are others now.
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
	l.view = &next
	return changed
}

// find makes the endpoints of services that name a file.
func (v *view) find() {
	v.found = map[string][]live.Endpoint{}
	if v.mesh == nil {
		return
	}
	for _, s := range v.mesh.Services {
		if list, ok := v.files[s.Workload.File]; ok && s.Workload.File != "" {
			v.found[s.Name] = endpointsOf(s, list)
		}
	}
}

// known reports whether the instances of a service in Kubernetes are known.
func (v *view) known(u *ir.Upstream) bool {
	_, known := v.pods[u.Namespace]
	return known && u.Workload.InCluster()
}

// watched are the services in Kubernetes among the callees whose pods are known, sorted.
func (v *view) watched(callees map[string]*ir.Upstream) (names []string) {
	for _, name := range sortedKeys(callees) {
		if v.known(callees[name]) {
			names = append(names, name)
		}
	}
	return names
}

// instances are those of a service that callers are told of. Pods that take no requests are not among them.
func (v *view) instances(u *ir.Upstream) []live.Endpoint {
	if v.known(u) {
		return slices.DeleteFunc(slices.Clone(v.pods[u.Namespace][u.Name]), func(e live.Endpoint) bool { return e.Unhealthy })
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

// place is where an instance of the service is: its pod, or the endpoint that the spec says. What a file says is where
// callers find instances, and not where these listen. It is nil where nothing is known.
func (v *view) place(s *ir.Service, instance string) *ir.Endpoint {
	if !s.Workload.InCluster() {
		return s.Endpoint(instance)
	}
	list := v.pods[s.Namespace][s.Name]
	if i := slices.IndexFunc(list, func(e live.Endpoint) bool { return e.Name == instance }); i >= 0 {
		return &list[i].Endpoint
	}
	return nil
}

// misnamed says which endpoints of a file name ports that their service has not, or
// leave open which of several they mean; "" when none does.
func (v *view) misnamed(file string, list []fileEndpoint) string {
	if v.mesh == nil {
		return ""
	}
	for _, service := range v.mesh.Services {
		if service.Workload.File != file {
			continue
		}
		if why := misnamedPorts(service, list); why != "" {
			return why
		}
	}
	return ""
}

// concerns reports whether what a member's proxies are assigned depends on the instances of one of those services.
func (v *view) concerns(kind ir.MemberKind, name string, services map[string]bool) bool {
	var uses []ir.Use
	if kind == ir.KindGateway {
		if g := v.mesh.Gateway(name); g != nil {
			uses = g.Uses
		}
	} else if s := v.mesh.Service(name); s != nil {
		if services[name] {
			return true // its own place may have changed
		}
		uses = s.Uses
	}
	return slices.ContainsFunc(uses, func(u ir.Use) bool { return services[u.To] })
}
