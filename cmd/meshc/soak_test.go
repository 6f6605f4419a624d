package main

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLongRunsAreInSoak wants every amount by which a test can be made long to be in the Makefile, which make soak
// runs. Seeds are none.
func TestLongRunsAreInSoak(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	amount := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("(MESHC_[A-Z_]+)"\)`)
	seen := 0
	for name, text := range testFiles(t) {
		for _, m := range amount.FindAllStringSubmatch(text, -1) {
			if strings.HasSuffix(m[1], "SEED") || strings.HasSuffix(m[1], "_RECORDS") ||
				strings.Contains(text, `"`+m[1]+`=`) { // which a test sets for its own child
				continue
			}
			seen++
			if !strings.Contains(string(makefile), m[1]+"=") {
				t.Errorf("%s reads %s, and make soak does not set it", name, m[1])
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d were found: does this test still look for what tests read?", seen)
	}
}

// What needs the build tag e2e runs in make e2e: each test is named by a -run of the Makefile or of test/e2e/run, or is
// in test/e2e, of which all run.
func TestEndToEndTestsAreRun(t *testing.T) {
	var commands []byte
	for _, name := range []string{"../../Makefile", "../../test/e2e/run"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, text...)
	}
	var named []*regexp.Regexp
	for _, m := range regexp.MustCompile(`-tags e2e .*-run '(\S+?)\$?\$' `).FindAllSubmatch(commands, -1) {
		named = append(named, regexp.MustCompile(string(m[1])+"$"))
	}
	tests := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	tagged := regexp.MustCompile(`(?m)^//go:build .*\be2e\b`)
	seen := 0
	for name, text := range testFiles(t) {
		if strings.HasPrefix(name, "test/e2e/") || !tagged.MatchString(text) {
			continue
		}
		for _, m := range tests.FindAllStringSubmatch(text, -1) {
			seen++
			if !slices.ContainsFunc(named, func(r *regexp.Regexp) bool { return r.MatchString(m[1]) }) {
				t.Errorf("%s: make e2e does not run %s", name, m[1])
			}
		}
	}
	if seen < 15 {
		t.Errorf("%d tests need e2e; does this test still look for what they begin with?", seen)
	}
}

// testFiles are the texts of all files of tests, by their paths from the top.
func testFiles(t *testing.T) map[string]string {
	t.Helper()
	out, root := map[string]string{}, os.DirFS("../..")
	if err := fs.WalkDir(root, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, name)
		out[name] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}
