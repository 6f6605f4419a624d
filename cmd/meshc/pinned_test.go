package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What documentation and workflows have others run is pinned: actions by commit, programs by version.
// COMMIT and VERSION stand for those of a release of meshc.
func TestEverythingIsPinned(t *testing.T) {
	action := regexp.MustCompile(`\buses: +"?([\w.-]+/[\w./-]+)@([^\s"#]+)`)
	install := regexp.MustCompile(`\bgo (?:install|run) ([\w./-]+\.[\w./-]+)@(\S+)`)
	commit, release := regexp.MustCompile(`^([0-9a-f]{40}|COMMIT)$`),
		regexp.MustCompile(`^(v\d+\.\d+\.\d+\S*|VERSION)$`)
	seen := 0
	var files []string
	for _, pattern := range []string{
		"*.md", "*.yml", "docs/*.md", "docs/*/*.md", ".github/*/*", "examples/*/*.md",
		"compiler/diag/explain/*.md", "cmd/meshc/skeleton*/*.md",
	} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []struct{ found, good *regexp.Regexp }{{action, commit}, {install, release}} {
			for _, m := range kind.found.FindAllStringSubmatch(string(data), -1) {
				seen++
				if !kind.good.MatchString(m[2]) {
					t.Errorf("%s: %s is not pinned", name, m[0])
				}
			}
		}
		for _, line := range strings.Split(string(data), "\n") {
			if strings.Contains(line, ":latest") && !strings.HasPrefix(line, "- ") {
				t.Errorf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d were found: does this test still look where they are?", seen)
	}
}

func TestImageTag(t *testing.T) {
	for version, want := range map[string]bool{
		"v1.2.3": true, "v1.2.3-rc.1": true,
		"v1.2.3+dirty": false, "(devel)": false, "v0.0.0-20261129063555-9b209bb4c25d": false,
		"v1.2.4-0.20261129063555-9b209bb4c25d": false,
	} {
		if released.MatchString(version) != want {
			t.Errorf("%s: is there an image of it? want %v", version, want)
		}
	}
}
