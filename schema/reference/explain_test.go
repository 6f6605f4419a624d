package reference

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/schema"
)

func TestExplain(t *testing.T) {
	for path, want := range map[string]string{
		"services":                       "services.NAME: #Service",
		"services.cart":                  "services.NAME: #Service",
		"services.retries":               "services.NAME.retries: #Retries",
		"services.cart.retries.attempts": "services.NAME.retries.attempts: int & >=0 & <=10",
		"services.routes.match":          "services.NAME.routes.match: #Match",
		"services.uses.timeout":          "services.NAME.uses.NAME.timeout: #TimeLimit",
		"gateways.public.listeners.tls":  "gateways.NAME.listeners.NAME.tls: #ListenerTLS",
		"#Retries.budget.percent":        "#Retries.budget.percent: #Percent",
		"mesh.jwt.issuers":               "mesh.jwt.issuers.NAME: #JWTIssuer",
	} {
		found, err := Explain(schema.FS, path)
		if err != nil || len(found) != 1 || found[0].Path+": "+found[0].Type != want || found[0].Doc+found[0].TypeDoc == "" {
			t.Errorf("%s: got %d, %v; want %s", path, len(found), err, want)
		}
	}
}

// TestExplainEverywhere wants each place of a field whose path is not known.
func TestExplainEverywhere(t *testing.T) {
	found, err := Explain(schema.FS, "perTryTimeout")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range found {
		paths = append(paths, f.Path)
	}
	for _, want := range []string{
		"mesh.defaults.retries.perTryTimeout", "services.NAME.retries.perTryTimeout",
		"services.NAME.routes.retries.perTryTimeout", "services.NAME.uses.NAME.retries.perTryTimeout",
		"gateways.NAME.routes.retries.perTryTimeout",
	} {
		if !slices.Contains(paths, want) {
			t.Errorf("%s is not among %v", want, paths)
		}
	}
}

func TestExplainUnknown(t *testing.T) {
	for path, want := range map[string]string{
		"servces":                 `a mesh repository has no field "servces"; did you mean services?`,
		"services.retires":        `services.NAME has no field "retires"; did you mean retries?`,
		"services.cart.x.y":       `services.NAME has no field "x": its fields are namespace, account, `,
		"services.retries.budgte": `services.NAME.retries has no field "budgte"; did you mean budget?`,
		"services.timeout.x":      `services.NAME.timeout has no fields`,
		"":                        `a mesh repository has no field ""`,
		"...":                     `a mesh repository has no field ""`,
	} {
		if found, err := Explain(schema.FS, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %d, %v; want %s", path, len(found), err, want)
		}
	}
}

// TestExplainRecursion ends, also where a definition stands in itself.
func TestExplainRecursion(t *testing.T) {
	files := fstest.MapFS{"a.cue": &fstest.MapFile{Data: []byte("package schema\n\n" +
		"// A.\n#Repository: {\n\t// b.\n\tb?: #B\n}\n\n// B.\n#B: {\n\t// c.\n\tc?: #B\n\t// d.\n\td?: int\n}\n")}}
	found, err := Explain(files, "d")
	if err != nil || len(found) != 1 || found[0].Path != "b.d" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestText(t *testing.T) {
	f := Field{
		Path: "a.b", Type: "#B", Doc: strings.Repeat("word ", 30), TypeDoc: "The type.",
		Fields: []Field{{Path: "c", Type: "int", Doc: "c is a number.", Required: true}},
	}
	var b strings.Builder
	if err := f.Text(&b, true); err != nil {
		t.Fatal(err)
	}
	want := "a.b: #B\n  " + strings.TrimSpace(strings.Repeat("word ", 19)) + "\n  " +
		strings.TrimSpace(strings.Repeat("word ", 11)) + "\n  The type.\n\n  c: int (required)\n      c is a number.\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}
