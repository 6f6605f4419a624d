package manifest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// trapStrings are those that YAML reads in another way when they stand bare.
var trapStrings = []string{
	"", " ", "a ", " a", "a  b", "~", "null", "Null", "yes", "No", "on", "y", "true", "TRUE", "nan", ".nan", ".inf",
	"-.inf", "inf",
	"1", "-1", "+1", "1.5", "1.", ".5", "1e3", "1E+3", "1.5e-3", "0x1F", "0o17", "017", "0b1", "1_000", "190:20:30",
	"0x1p4", "Infinity",
	"2001-12-14", "2001-12-14t21:59:43.10-05:00", "10.20.0.11", "1.2", "::1", "fe80::1", "15s", "128Mi", "100m", "1d",
	"1f", "12e03",
	"---", "...", "- a", "-", "-a", "? a", "?", ": a", "a: b", "a:b", "a:", "a #b", "a#b", "#", "*a", "&a", "!a",
	"!!str a", "|", ">", "%a", "@a", "`a",
	"./", "./a", "./1", ".", "..", "--a", "--a=b c", "--1", "--", "[a]", "{a}", "a, b", "'", "\"", "a'b", "a\"b", "\\",
	"a\\nb", "<<", "=", "=a",
	"a\nb", "a\nb\n", "a\nb\n\n", "\na", "a\n\nb", " a\nb", "a\n b", "a\nb ", "a \nb", "a\n \nb", "\n", "\n\n",
	"a\r\nb", "a\rb", "a\tb", "\ta\nb", "a\n\tb", "---\na\n---\n", "# a\nb",
	"\u0085", "a\u0085b", "a\u0085b\nc", "\uFEFF", "\uFEFFa\nb", "a\u2028b", "a\u2029b\nc", "\x7F", "\u009F", "\u00A0",
	"\x00", "\x1B[0m", "\uFFFE", "\uFFFF", "\uFFFD",
	"ü", "üb\nc", "日本", "😀", "😀\n😀", "e\u0301", "spiffe://shop.example/ns/default/sa/cart", "default/cart:http",
	"^/v[0-9]+/cart/.*$", strings.Repeat("long ", 300), strings.Repeat("😀", 200),
}

func TestYAMLRoundTripsStrings(t *testing.T) {
	for _, s := range trapStrings {
		roundTrip(t, s)
		roundTrip(t, []any{s, []any{s, []any{}}})
		roundTrip(t, map[string]any{
			s: s, "k": []any{s, map[string]any{s: s, "z": s}},
			"m": map[string]any{s: map[string]any{s: s}},
		})
	}
}

func TestYAMLRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { roundTrip(t, value(4).Draw(t, "value")) })
}

func FuzzYAMLString(f *testing.F) {
	for _, s := range trapStrings {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		roundTrip(t, map[string]any{s: []any{s, map[string]any{s: s}}})
	})
}

// value is any JSON value of that depth.
func value(depth int) *rapid.Generator[any] {
	text := rapid.OneOf(
		rapid.SampledFrom(trapStrings), rapid.String(), rapid.StringMatching(`[-0-9a-fA-Fox:._ +eE#\n]{0,12}`),
		rapid.StringMatching("[ -~]{0,20}"), rapid.StringMatching("([ a-z#:-]{0,4}\n){1,4}[a-z]?"),
	)
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Float64().AsAny(), rapid.Int64Range(-1<<53, 1<<53).
			AsAny(), text.AsAny(), text.AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) }), 0, 4).AsAny(),
		rapid.MapOfN(text, rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) }), 0, 4).AsAny(),
	)...)
}

// roundTrip demands that two readers, of YAML 1.1 and of 1.2, get the value back.
func roundTrip(t rapid.TB, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	got, err := YAML(json.RawMessage(data))
	if err != nil {
		t.Fatalf("YAML(%s): %v", data, err)
	}
	back, err := yaml.YAMLToJSONStrict(got)
	if err != nil {
		t.Fatalf("%s gave\n%s\nwhich does not parse: %v", data, got, err)
	}
	var read any
	if err := json.Unmarshal(back, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, want) {
		t.Fatalf("%s gave\n%s\nwhich is %s", data, got, back)
	}
	var third any
	if err := yamlv3.Unmarshal(got, &third); err != nil {
		t.Fatalf("%s gave\n%s\nwhich yaml v3 does not parse: %v", data, got, err)
	}
	thirdJSON, err := json.Marshal(third)
	if err != nil {
		t.Fatal(err)
	}
	var thirdValue any
	if err := json.Unmarshal(thirdJSON, &thirdValue); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(thirdValue, want) {
		t.Fatalf("%s gave\n%s\nwhich yaml v3 reads as %s", data, got, thirdJSON)
	}
}

func TestYAMLLooksAsWritten(t *testing.T) {
	type inner struct {
		Zeta  string   `json:"zeta"`
		Alpha []string `json:"alpha,omitempty"`
	}
	got, err := YAML(
		map[string]any{
			"kind": "ConfigMap", "count": 3, "on": true, "none": nil, "empty": map[string]any{}, "list": []any{},
			"data": map[string]string{
				"envoy.yaml": "admin:\n  address: 127.0.0.1\n", "port": "8080",
				"image": "docker.io/envoyproxy/envoy:v1.40.0",
			},
			"items": []any{
				inner{Zeta: "z", Alpha: []string{"a", "- b"}},
				[]int{1, 2},
				[]any{[]any{"deep"}},
				"10.0.0.1",
			},
		},
		json.RawMessage(`{ "b" : 1e21, "a": [ ], "b": 2.5E-7 }`),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := `count: 3
data:
  envoy.yaml: |
    admin:
      address: 127.0.0.1
  image: docker.io/envoyproxy/envoy:v1.40.0
  port: "8080"
empty: {}
items:
- alpha:
  - a
  - "- b"
  zeta: z
- - 1
  - 2
- - - deep
- "10.0.0.1"
kind: ConfigMap
list: []
none: null
"on": true
---
a: []
b: 2.5e-7
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestYAMLReadsInvalidUTF8AsJSONDoes(t *testing.T) {
	got, err := YAML(json.RawMessage("{\"a\":\"x\xFFy\",\"b\":\"\\ud83d\\ude00 \\ud83d \\/\"}"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "a: \"x\uFFFDy\"\nb: \"😀 \uFFFD /\"\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestYAMLRefusesWhatHasNoJSON(t *testing.T) {
	if _, err := YAML(1, func() {}); err == nil || !strings.Contains(err.Error(), "document 2") {
		t.Errorf("got %v", err)
	}
	if _, err := YAMLFile("a/b.yaml", json.RawMessage(`{"a":`)); err == nil ||
		!strings.Contains(err.Error(), "a/b.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestObjectHasNoStatus(t *testing.T) {
	v := json.RawMessage(`{"kind":"Service","spec":{"status":"kept"},"status":{"loadBalancer":{}}}`)
	got, err := YAML(Object(v), v)
	if err != nil {
		t.Fatal(err)
	}
	want := "kind: Service\nspec:\n  status: kept\n---\nkind: Service\nspec:\n  status: kept\nstatus:\n  loadBalancer: {}\n"
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

func TestYAMLFileBeginsWithHeader(t *testing.T) {
	file, err := YAMLFile("a.yaml", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file.Data, []byte(Header+"1\n---\n2\n")) || file.Path != "a.yaml" {
		t.Errorf("got %q", file)
	}
}

func BenchmarkYAML(b *testing.B) {
	deployment := json.RawMessage(
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"meshc","namespace":"shop-system","labels":{"app.kubernetes.io/name":"meshc"}},
		"spec":{"replicas":2,"selector":{"matchLabels":{"app.kubernetes.io/name":"meshc"}},"template":{"metadata":{"labels":{"app.kubernetes.io/name":"meshc"}},
		"spec":{"containers":[{"name":"meshc","image":"ghcr.io/meshc/meshc:latest","args":["serve","--mesh","/etc/meshc/mesh.json"],"ports":[{"name":"xds","containerPort":15010}],
		"resources":{"limits":{"memory":"128Mi"},"requests":{"cpu":"10m","memory":"64Mi"}}}]}}}}`)
	for b.Loop() {
		if _, err := YAML(deployment); err != nil {
			b.Fatal(err)
		}
	}
}
