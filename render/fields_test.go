package render_test

import (
	"bytes"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/spec"
)

var marks = regexp.MustCompile(`/\*[a-z ]*\*/`)

// everything is a mesh in which each field of the language can be changed. Marks
// are where a field is added; CUE does not see them.
const everything = `package shop

mesh: {
	name: "shop"
	trustDomain: "shop.example"
	defaults: {retries: {attempts: 1}/*defaults*/}
	certificates: {issuer: {kind: "ClusterIssuer", name: "ca"}/*certificates*/}
	proxy: {adminPort: 15000/*mesh proxy*/}
	images: {envoy: "envoy:1"/*images*/}
	flux: {url: "https://git.example/mesh"/*flux*/}
	silence: MC1203: "the first of two meshes"
}
services: a: {
	workload: deployment: "a"
	ports: {http: {port: 80, protocol: "http"/*port*/}, admin: {port: 90, protocol: "http"}}
	versions: v1: labels: version: "v1"
	uses: {b: {/*use b*/}, e: {/*use e*/}}
	allow: [{from: {gateways: ["g"]/*from*/}/*rule*/}]
	routes: [{match: {path: exact: "/one"/*match*/}, to: [{version: "v1"/*destination*/}, {weight: 2}]/*route*/}]
	retries: {attempts: 1/*retries*/}
	proxy: {adminPort: 15001+10/*service proxy*/}
	/*service*/
}
services: b: {
	workload: endpoints: [{address: "10.0.0.1"/*endpoint*/}, {address: "10.0.0.9", labels: version: "1"}]
	ports: http: {port: 81, protocol: "http"}
	versions: {v1: labels: version: "1", v2: labels: version: "2"}
	routes: [{to: [{version: "v2"}]}]
	silence: MC1307: "it has none yet"
	allow: [{from: services: ["a"]}]
}
services: c: {
	workload: dns: "c.internal"
	ports: {x: {port: 82, protocol: "http"}, y: {port: 83, protocol: "http"}}
	allow: [{from: services: ["d"]}]
	silence: MC1307: "none"
}
services: d: {
	workload: deployment: "d"
	ports: http: {port: 84, protocol: "http"}
	uses: c: {/*use c*/}
}
gateways: g: {
	listeners: http: {port: 8080/*listener*/}
	routes: [{to: [{service: "a", port: "http"}]}]
	uses: a: {/*gateway use*/}
	proxy: {adminPort: 15002+10}
	/*gateway*/
}
external: e: {
	hosts: ["e.example"]
	ports: https: {port: 443, protocol: "https"}
	/*external*/
}
`

// change replaces a part of everything, or adds something at a mark.
type change struct{ from, to string }

func add(mark, field string) change {
	return change{"/*" + mark + "*/", ", " + field}
}

func addLine(mark, field string) change { return change{"/*" + mark + "*/", field} }

// changes has one for every field that is rendered, by its place in the types of
// the spec.
var changes = map[string]change{
	"mesh.name":                                         {`name: "shop"`, `name: "shop2"`},
	"mesh.trustDomain":                                  {"shop.example", "other.example"},
	"mesh.delivery":                                     {`trustDomain: `, "delivery: \"static\"\n\ttrustDomain: "},
	"mesh.defaults.timeout":                             add("defaults", `timeout: "3s"`),
	"mesh.certificates.issuer.kind":                     {`"ClusterIssuer"`, `"Issuer"`},
	"mesh.certificates.issuer.name":                     {`name: "ca"`, `name: "ca2"`},
	"mesh.certificates.lifetime":                        add("certificates", `lifetime: "12h"`),
	"mesh.certificates.renewBefore":                     add("certificates", `renewBefore: "5h"`),
	"mesh.certificates.key":                             add("certificates", `key: "rsa-2048"`),
	"mesh.proxy.interception":                           {`uses: {b: {/*use b*/}, e: {/*use e*/}}`, `uses: {b: bind: "127.0.0.1:9001", e: bind: "127.0.0.1:9002"}, proxy: interception: "explicit", ports: {http: target: 8081, admin: target: 9091}`},
	"mesh.proxy.inboundPort":                            add("mesh proxy", "inboundPort: 15106"),
	"mesh.proxy.outboundPort":                           add("mesh proxy", "outboundPort: 15101"),
	"mesh.proxy.adminPort":                              {"adminPort: 15000", "adminPort: 15100"},
	"mesh.proxy.certificateDirectory":                   add("mesh proxy", `certificateDirectory: "/certificates"`),
	"mesh.proxy.server":                                 add("mesh proxy", `server: "serve.example:15010"`),
	"mesh.images.meshc":                                 add("images", `meshc: "meshc:2"`),
	"mesh.images.envoy":                                 {"envoy:1", "envoy:2"},
	"mesh.flux.url":                                     {"https://git.example/mesh", "https://git.example/other"},
	"mesh.flux.branch":                                  add("flux", `branch: "prod"`),
	"mesh.flux.tag":                                     {`"https://git.example/mesh"/*flux*/`, `"oci://oci.example/mesh", tag: "v1"`},
	"mesh.flux.path":                                    add("flux", `path: "./deploy"`),
	"mesh.flux.interval":                                add("flux", `interval: "5m"`),
	"mesh.flux.namespace":                               add("flux", `namespace: "gitops"`),
	"services.[].namespace":                             addLine("service", `namespace: "n"`),
	"services.[].account":                               addLine("service", `account: "other"`),
	"services.[].timeout":                               addLine("service", `timeout: "20s"`),
	"services.[].workload.deployment":                   {`deployment: "a"`, `deployment: "a2"`},
	"services.[].workload.dns":                          {"c.internal", "c2.internal"},
	"services.[].workload.endpoints.[].address":         {"10.0.0.1", "10.0.0.2"},
	"services.[].workload.endpoints.[].port":            add("endpoint", "port: 8181"),
	"services.[].workload.endpoints.[].ports.[]":        add("endpoint", "ports: http: 8181"),
	"services.[].workload.endpoints.[].zone":            add("endpoint", `zone: "z"`),
	"services.[].workload.endpoints.[].weight":          add("endpoint", "weight: 2"),
	"services.[].workload.endpoints.[].labels.[]":       add("endpoint", `labels: version: "2"`),
	"services.[].ports.[].port":                         {"port: 80,", "port: 8000,"},
	"services.[].ports.[].target":                       add("port", "target: 8080"),
	"services.[].ports.[].protocol":                     {`port: 81, protocol: "http"`, `port: 81, protocol: "grpc"`},
	"services.[].versions.[].labels.[]":                 {`labels: version: "v1"`, `labels: version: "1"`},
	"services.[].uses.[].ports.[]":                      addLine("use c", `ports: ["x"]`),
	"services.[].uses.[].timeout":                       addLine("use b", `timeout: "2s"`),
	"services.[].uses.[].bind":                          addLine("use b", `bind: "127.0.0.1:9001"`),
	"services.[].uses.[].binds.[]":                      addLine("use b", `binds: http: "127.0.0.1:9001"`),
	"services.[].uses.[].retries.attempts":              addLine("use b", `retries: attempts: 4`),
	"services.[].uses.[].retries.perTryTimeout":         addLine("use b", `retries: perTryTimeout: "1s"`),
	"services.[].uses.[].retries.on.[]":                 addLine("use b", `retries: on: ["5xx"]`),
	"services.[].uses.[].retries.budget.percent":        addLine("use b", `retries: budget: percent: 5`),
	"services.[].uses.[].retries.budget.minConcurrency": addLine("use b", `retries: budget: minConcurrency: 5`),
	"services.[].allow.[].from.services.[]":             add("from", `services: ["d"]`),
	"services.[].allow.[].from.gateways.[]":             {`{gateways: ["g"]/*from*/}`, `{gateways: ["g", "g"]}`},
	"services.[].allow.[].ports.[]":                     {`{from: services: ["d"]}`, `{from: services: ["d"], ports: ["x"]}`},
	"services.[].allow.[].methods.[]":                   add("rule", `methods: ["GET"]`),
	"services.[].allow.[].paths.[]":                     add("rule", `paths: ["/*"]`),
	"services.[].routes.[].name":                        add("route", `name: "first"`),
	"services.[].routes.[].timeout":                     add("route", `timeout: "3s"`),
	"services.[].routes.[].match.host":                  {`routes: [{to: [{service: "a", port`, `routes: [{match: host: "shop.example", to: [{service: "a", port`},
	"services.[].routes.[].match.method":                add("match", `method: "GET"`),
	"services.[].routes.[].match.path.exact":            {`exact: "/one"`, `exact: "/two"`},
	"services.[].routes.[].match.path.prefix":           {`exact: "/one"`, `prefix: "/one"`},
	"services.[].routes.[].match.path.regex":            {`exact: "/one"`, `regex: "/one"`},
	"services.[].routes.[].match.headers.[].exact":      add("match", `headers: "x-a": exact: "1"`),
	"services.[].routes.[].match.headers.[].prefix":     add("match", `headers: "x-a": prefix: "1"`),
	"services.[].routes.[].match.headers.[].regex":      add("match", `headers: "x-a": regex: "1"`),
	"services.[].routes.[].match.headers.[].present":    add("match", `headers: "x-a": present: false`),
	"services.[].routes.[].to.[].service":               {`{service: "a", port: "http"}`, `{service: "a", port: "admin"}`},
	"services.[].routes.[].to.[].version":               {`{weight: 2}`, `{weight: 2, version: "v1"}`},
	"services.[].routes.[].to.[].port":                  add("destination", `port: "admin"`),
	"services.[].routes.[].to.[].weight":                {`{weight: 2}`, `{weight: 3}`},
	"gateways.[].namespace":                             addLine("gateway", `namespace: "n"`),
	"gateways.[].account":                               addLine("gateway", `account: "other"`),
	"gateways.[].listeners.[].port":                     {"port: 8080", "port: 8090"},
	"gateways.[].listeners.[].hosts.[]":                 add("listener", `hosts: ["shop.example"]`),
	"external.[].hosts.[]":                              {"e.example", "f.example"},
	"external.[].timeout":                               addLine("external", `timeout: "3s"`),
	"external.[].tls.roots":                             addLine("external", `tls: roots: "/roots.pem"`),
}

// silent are fields that turn a finding off and change no output.
var silent = []string{"mesh.silence.[]", "services.[].silence.[]", "gateways.[].silence.[]", "external.[].silence.[]", "services.[].mtls"}

// TestFieldsTakeEffect changes each field of the language in turn and wants an
// output to change: a field that is ignored is the worst that a compiler can do.
func TestFieldsTakeEffect(t *testing.T) {
	fields := map[string]bool{}
	leaves(reflect.TypeFor[spec.Repository](), "", fields, map[reflect.Type]string{})
	for field := range fields {
		if _, ok := changes[field]; !ok && !slices.Contains(silent, field) {
			t.Errorf("no change of %s is tried", field)
		}
	}
	before := compiled(t, everything)
	for field, c := range changes {
		t.Run(field, func(t *testing.T) {
			if !fields[field] {
				t.Errorf("there is no field %s", field)
			}
			if !strings.Contains(everything, c.from) {
				t.Fatalf("%q is not there to be changed", c.from)
			}
			after := compiled(t, strings.Replace(everything, c.from, c.to, 1))
			if same(before, after) {
				t.Errorf("%s to %s changes no output", c.from, c.to)
			}
		})
	}
}

// leaves collects the fields of a type that hold values. A type that was seen
// before, like the retries of a service after those of a use, is the same again.
func leaves(typ reflect.Type, path string, found map[string]bool, seen map[reflect.Type]string) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == reflect.TypeFor[spec.Unsupported]():
	case typ.Kind() == reflect.Map || typ.Kind() == reflect.Slice:
		leaves(typ.Elem(), path+".[]", found, seen)
	case typ.Kind() == reflect.Struct && typ.NumField() > 0 && typ.Field(0).Name == "Value":
		found[strings.TrimPrefix(path, ".")] = true
	case typ.Kind() == reflect.Struct:
		if _, again := seen[typ]; again || path == ".mesh.defaults.retries" {
			return
		}
		seen[typ] = path
		for i := range typ.NumField() {
			if tag := typ.Field(i).Tag.Get("cue"); tag != "" {
				leaves(typ.Field(i).Type, path+"."+tag, found, seen)
			}
		}
	}
}

func compiled(t *testing.T, source string) map[string][]byte {
	t.Helper()
	source = marks.ReplaceAllString(source, "")
	m := compileArchive(t, &txtar.Archive{Files: []txtar.File{{Name: "mesh.cue", Data: []byte(source)}}})
	out := outputs(t, m)
	for name := range out { // where things stand says nothing of what they do
		if name == "mesh.json" || strings.HasSuffix(name, "-system/mesh.yaml") {
			delete(out, name)
		}
	}
	return out
}

func same(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		if !bytes.Equal(data, b[name]) {
			return false
		}
	}
	return true
}
