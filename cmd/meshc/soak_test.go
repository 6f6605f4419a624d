package main

import (
	"io/fs"
	"os"
	"regexp"
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
	root := os.DirFS("../..")
	if err := fs.WalkDir(root, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, name)
		for _, m := range amount.FindAllStringSubmatch(string(text), -1) {
			if strings.HasSuffix(m[1], "SEED") ||
				strings.Contains(string(text), `"`+m[1]+`=`) { // which it sets for its own child
				continue
			}
			seen++
			if !strings.Contains(string(makefile), m[1]+"=") {
				t.Errorf("%s reads %s, and make soak does not set it", name, m[1])
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if seen < 8 {
		t.Errorf("only %d were found: does this test still look for what tests read?", seen)
	}
}
