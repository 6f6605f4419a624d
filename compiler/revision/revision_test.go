package revision

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestRevision reads a directory of a repository as it was, and wants the work tree and the index to stay as they are.
func TestRevision(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=n@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %s", args, out)
		}
		return string(out)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("init", "-q", "-b", "main")
	put(".gitattributes", "*.cue export-ignore\n")
	put("mesh/a.cue", "a\n")
	put("mesh/sub/ü b.cue", "")
	put("mesh/gone.cue", "gone")
	put("other.txt", "other")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "mesh/link.cue")); err != nil {
		t.Fatal(err)
	}
	run("add", ".")
	run("commit", "-q", "-m", "first")
	put("mesh/a.cue", "changed")
	put("mesh/new.cue", "new")
	if err := os.Remove(filepath.Join(dir, "mesh/gone.cue")); err != nil {
		t.Fatal(err)
	}
	before := run("status", "--porcelain")

	t.Setenv("GIT_DIR", filepath.Join(dir, "nowhere")) // as a hook has it, which is about another directory
	r, err := Open(t.Context(), filepath.Join(dir, "mesh"), "main")
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	if err := r.Write(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.cue": "a\n", "sub/ü b.cue": "", "gone.cue": "gone"} {
		if got, err := os.ReadFile(filepath.Join(into, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q: %v", name, got, err)
		}
	}
	for _, name := range []string{"link.cue", "new.cue", "other.txt"} {
		if _, err := os.Lstat(filepath.Join(into, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	changed, err := r.Changed(t.Context())
	if want := []string{"a.cue", "gone.cue", "new.cue"}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("changed: %q, %v", changed, err)
	}
	if data, there := r.Read(t.Context(), "other.txt"); !there || string(data) != "other" {
		t.Errorf("other.txt is %q", data)
	}
	if _, there := r.Read(t.Context(), "mesh/new.cue"); there {
		t.Error("new.cue is in the revision")
	}
	if err := os.Unsetenv("GIT_DIR"); err != nil {
		t.Fatal(err)
	}
	if after := run("status", "--porcelain"); after != before {
		t.Errorf("the work tree was touched: %s", after)
	}
	for _, name := range []string{"nowhere", "--output=x", ""} {
		if _, err := Open(t.Context(), dir, name); err == nil {
			t.Errorf("%q is a revision", name)
		}
	}
}
