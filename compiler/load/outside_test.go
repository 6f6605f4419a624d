package load

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingOutsideTheModuleIsRead has a module that would have CUE take a package from elsewhere on the machine in
// place of one that it depends on (cue.mod/local-module.cue).
func TestNothingOutsideTheModuleIsRead(t *testing.T) {
	outside := t.TempDir()
	for name, text := range map[string]string{
		"cue.mod/module.cue": "module: \"out.example/x@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"x.cue":              "package x\n\nport: 4711\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(outside, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(outside, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []string{outside, ".." + outside, "./.." + outside} {
		files := edited(smallModule, "services/pay/pay.cue", "package shop\n\nimport \"out.example/x\"\n\n"+
			serviceAt("pay", "x.port"))
		files["cue.mod/module.cue"] += "deps: \"out.example/x@v0\": v: \"v0.0.1\"\n"
		files["cue.mod/local-module.cue"] = "deps: \"out.example/x@v0\": {v: \"v0.0.1\", replaceWith: \"" + place +
			"\"}\n"
		m, units, said := readModule(t, files)
		results, err := m.Evaluate(t.Context(), units, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			text, err := json.Marshal(r.Spec)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "4711") {
				t.Errorf("replaceWith %q: the unit %s has what stands outside of the module", place, r.Dir)
			}
		}
		if !said.HasErrors() || !strings.Contains(fmt.Sprint(said), "local-module.cue") {
			t.Errorf("replaceWith %q: meshc says %v", place, said)
		}
	}
}
