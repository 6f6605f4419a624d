package render_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/render/meshfile"
)

// held collects the fields of all outputs of the features, and of those parts of them that stand in the feature files.
type held struct {
	sync.Mutex
	all  map[string]string // a field, and an output that has it
	part map[string]bool
}

func newHeld() *held { return &held{all: map[string]string{}, part: map[string]bool{}} }

// output takes an output, or what a feature file has of it.
func (h *held) output(t *testing.T, name string, data []byte, whole bool) {
	docs, err := documents(data)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if name == meshfile.Name || name == "kubernetes/shop-system/mesh.yaml" ||
		strings.HasPrefix(name, "observability/dashboards/") {
		return // the compiled mesh itself, and what is of Grafana's form: both have tests of their own
	}
	h.Lock()
	defer h.Unlock()
	for _, doc := range docs {
		fields(doc, outputKind(name, doc), func(field string) {
			if whole {
				h.all[field] = t.Name() + ": " + name
			} else {
				h.part[field] = true
			}
		})
	}
}

// check wants some feature file to hold every field.
func (h *held) check(t *testing.T) {
	var missing []string
	for field, example := range h.all {
		if !h.part[field] {
			missing = append(missing, field+" ("+example+")")
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("no feature file selects these fields of outputs (one that has it stands behind each):\n%s",
			strings.Join(missing, "\n"))
	}
}

// outputKind is what a document of an output is: the kind of an object of Kubernetes or of Flux, the kind of Envoy's
// resources, or the directory and the ending of a file of another sort.
func outputKind(name string, doc any) string {
	if fields, ok := doc.(map[string]any); ok {
		if kind, ok := fields["kind"].(string); ok {
			return kind
		}
	}
	if rest, ok := strings.CutPrefix(name, "xds/"); ok {
		_, kind, _ := strings.Cut(strings.TrimSuffix(path.Base(rest), ".yaml"), ".")
		return kind[strings.LastIndex(kind, ".")+1:]
	}
	return strings.Split(name, "/")[0] + "/*" + path.Ext(name)
}

// aKey is a key that is the name of a field, and not one that the mesh makes up.
var aKey = regexp.MustCompile(`^@?[A-Za-z][A-Za-z0-9_]*$`)

// sameEverywhere are the kinds of values that are one wherever they stand: what makes them does not know where.
var sameEverywhere = map[string]string{
	"template":     "pods",      // of a Deployment, a Job and other workloads
	"listeners":    "listeners", // in a bootstrap
	"clusters":     "clusters",  // in a bootstrap
	"secrets":      "secrets",   // in a bootstrap
	"route_config": "routes",    // in a listener that asks nobody for its routes
}

// fields calls add with the name of every field that has a value: the kind of what it stands in, which is the
// outermost one or the nearest with a type of its own, and the keys that lead to it from there.
func fields(value any, name string, add func(string)) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			fields(element, name, add)
		}
	case map[string]any:
		if kind, ok := value["@type"].(string); ok {
			name = kind[strings.LastIndex(kind, ".")+1:]
			add(name)
		}
		for key, inner := range value {
			switch kind, same := sameEverywhere[key]; {
			case same:
				fields(inner, kind, add)
			case aKey.MatchString(key):
				fields(inner, name+"."+key, add)
			default:
				fields(inner, name+".*", add)
			}
		}
	default:
		add(name)
	}
}
