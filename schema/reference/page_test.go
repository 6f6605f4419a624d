package reference

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/schema"
)

// TestPageIsCurrent wants the reference page to be what the schema says now.
func TestPageIsCurrent(t *testing.T) {
	want, err := Page(schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/reference.md is not what the schema says: run go generate ./schema")
	}
}

func TestPageWantsComments(t *testing.T) {
	for _, source := range []string{
		"package schema\n\n#A: {\n\t// b is good.\n\tb?: int\n}\n",
		"package schema\n\n// A is good.\n#A: {\n\tb?: int\n}\n",
		"package schema\n\n// A is good.\n#A: {\n\t// b is good.\n\tb?: {\n\t\tc?: int\n\t\td?: int\n\t}\n}\n",
	} {
		_, err := Page(fstest.MapFS{"a.cue": &fstest.MapFile{Data: []byte(source)}})
		if err == nil || !strings.Contains(err.Error(), "has no comment") {
			t.Errorf("got %v for\n%s", err, source)
		}
	}
}
