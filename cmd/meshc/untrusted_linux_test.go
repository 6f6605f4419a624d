package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// meshcIn runs meshc in a directory, as a user does.
func meshcIn(t *testing.T, dir string, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command("meshc", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MESHC_CACHE=off")
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

// bombs are specs that grow without end, or nearly. Each stands in a unit of its own.
func bombs() map[string]string {
	doubled := func(first, next string, lines int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "_x0: %s\n", first)
		for i := 1; i <= lines; i++ {
			fmt.Fprintf(&b, "_x%d: %s\n", i, strings.ReplaceAll(next, "X", fmt.Sprintf("_x%d", i-1)))
		}
		fmt.Fprintf(&b, "mesh: silence: MC1203: \"\\(_x%d)\"\n", lines)
		return b.String()
	}
	wide := func(n int, f func(i int) string) string {
		var parts []string
		for i := range n {
			parts = append(parts, f(i))
		}
		return strings.Join(parts, "")
	}
	return map[string]string{
		"interpolation":         doubled(`"aaaaaaaaaaaaaaaa"`, `"\(X)\(X)\(X)\(X)\(X)\(X)\(X)\(X)"`, 12),
		"repeated strings":      `import "strings"` + "\n" + doubled(`"a"`, `strings.Repeat(X, 100)`, 8),
		"string times a number": doubled(`"aaaaaaaa"`, `X * 64`, 8),
		"bytes times a number":  "_a: '12345678' * 100000000\n_b: _a + _a\nmesh: silence: MC1203: \"\\(_b)\"\n",
		"list times a number":   "import \"list\"\n_a: list.Repeat([1,2,3,4], 100000000)\nmesh: silence: MC1203: \"\\(len(_a))\"\n",
		"a long range":          "import \"list\"\n_a: list.Range(0, 1000000000, 1)\nmesh: silence: MC1203: \"\\(len(_a))\"\n",
		"nested lists":          doubled(`[1,2,3,4,5,6,7,8]`, `[X,X,X,X,X,X,X,X]`, 9) + "_all: json.Marshal(_x9)\n",
		"lists of loops":        "_a: [for x in _r for y in _r for z in _r for w in _r for v in _r {x+y+z+w+v}]\n_r: [" + strings.Repeat("1,", 100) + "]\nmesh: silence: MC1203: \"\\(len(_a))\"\n",
		"structs that double":   doubled(`{a: 1, b: 2}`, `{c: X, d: X, e: X & {a?: _}}`, 22),
		"many choices": wide(22,
			func(i int) string { return fmt.Sprintf("_c%d: {a%d: 1} | {a%d: 2} | {b%d: 3}\n", i, i, i, i) }) +
			"_all: " + strings.TrimSuffix(wide(22, func(i int) string { return fmt.Sprintf("_c%d & ", i) }), " & ") +
			"\nmesh: silence: MC1203: \"\\(_all.a0)\"\n",
		"many choices of numbers": wide(24, func(i int) string { return fmt.Sprintf("_n%d: 1 | 2 | 3 | 4\n", i) }) +
			"_sum: {" + wide(24, func(i int) string { return fmt.Sprintf("v%d: _n%d, ", i, i) }) +
			"} & ({v0: 1} | {v0: 2})\nmesh: silence: MC1203: \"\\(_sum.v0)\"\n",
		"services without end":     "services: {for i in _r for j in _r for k in _r {\"s\\(i)x\\(j)x\\(k)\": {workload: deployment: \"s\", ports: http: {port: 80, protocol: \"http\"}}}}\n_r: [" + wide(120, func(i int) string { return fmt.Sprint(i, ",") }) + "]\n",
		"routes without end":       "services: a: {workload: deployment: \"a\", ports: http: {port: 80, protocol: \"http\"}, routes: [for i in _r for j in _r for k in _r {match: path: exact: \"/\\(i)/\\(j)/\\(k)\"}]}\n_r: [" + wide(150, func(i int) string { return fmt.Sprint(i, ",") }) + "]\n",
		"braces":                   "_a: " + strings.Repeat("{a: ", 200000) + "1" + strings.Repeat("}", 200000) + "\n",
		"brackets":                 "_a: " + strings.Repeat("[", 200000) + strings.Repeat("]", 200000) + "\n",
		"parentheses":              "_a: " + strings.Repeat("(", 200000) + "1" + strings.Repeat(")", 200000) + "\n",
		"minus signs":              "_a: " + strings.Repeat("-", 400000) + "1\n",
		"a sum":                    "_a: " + strings.Repeat("1+", 200000) + "1\nmesh: silence: MC1203: \"\\(_a)\"\n",
		"a great number":           "import \"math\"\n_a: math.Pow(10, 100000000)\nmesh: silence: MC1203: \"\\(_a)\"\n",
		"numbers that are squared": doubled(`99999999999999999999`, `X * X`, 30),
		"marshalled and again": `import "encoding/json"` + "\n" + doubled(`"\"\\\"\""`,
			`json.Marshal([X, X, X, X])`, 18),
		"patterns of patterns": wide(2000,
			func(i int) string { return fmt.Sprintf("services: [=~\"^(a+)+%d$\"]: timeout: \"1s\"\n", i) }) +
			"services: " + strings.Repeat("a", 60) + ": {workload: deployment: \"a\"}\n",
		"a wide choice": "_a: " + strings.TrimSuffix(wide(20000,
			func(i int) string { return fmt.Sprintf("{a%d: 1, b: \"%d\"} | ", i, i) }), " | ") +
			"\n_c: _a & _a & _a\nmesh: silence: MC1203: \"\\(_c.b)\"\n",
		"lets that grow": "_a: {let a0 = [1, 2, 3, 4, 5, 6, 7, 8]\n" + wide(14, func(i int) string {
			return fmt.Sprintf("let a%d = [for x in a%d for y in [1, 2, 3, 4] {x + y}]\n", i+1, i)
		}) + "n: len(a14)}\nmesh: silence: MC1203: \"\\(_a.n)\"\n",
		"a template of loops": "import \"list\"\nimport \"text/template\"\n_a: template.Execute(\"" +
			strings.Repeat("{{range $}}", 5) + "x" + strings.Repeat("{{end}}", 5) +
			"\", list.Range(0, 1000, 1))\nmesh: silence: MC1203: \"\\(_a)\"\n",
		"bits that are shifted": "import \"math/bits\"\n_a: bits.Lsh(1, 4000000000)\n" +
			"mesh: silence: MC1203: \"\\(_a)\"\n",
		"a replacement of everything": "import \"strings\"\n_a: strings.Repeat(\"a\", 100000)\n" +
			"mesh: silence: MC1203: \"\\(strings.Replace(_a, \"a\", _a, -1))\"\n",
		"a list that is sorted": "import \"list\"\n" +
			"_a: list.Sort([for x in list.Range(0, 300000, 1) {-x}], list.Ascending)\n" +
			"mesh: silence: MC1203: \"\\(len(_a))\"\n",
		"a long name": "services: \"" + strings.Repeat("x", 5<<20) + "\": workload: deployment: \"a\"\n",
		"definitions that refer on": wide(3000,
			func(i int) string { return fmt.Sprintf("#D%d: {x: #D%d | #D%d}\n", i, (i*7+1)%3000, (i*13+5)%3000) }) +
			"_a: #D0\n",
	}
}

// TestBombs compiles specs that grow without end, as specs that are not trusted: each
// ends in time, with a finding or without one, and never in a fault.
func TestBombs(t *testing.T) {
	all := bombs()
	if len(all) < 20 {
		t.Errorf("there are %d bombs", len(all))
	}
	limited := 0
	for name, text := range all {
		dir := t.TempDir()
		var imports, rest strings.Builder
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "import ") {
				imports.WriteString(line)
			} else {
				rest.WriteString(line)
			}
		}
		if strings.Contains(text, "json.Marshal") && imports.Len() == 0 {
			imports.WriteString("import \"encoding/json\"\n")
		}
		writeAll(t, dir, map[string]string{
			"cue.mod/module.cue": moduleText,
			"mesh.cue":           "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n",
			"bomb/bomb.cue":      "package shop\n\n" + imports.String() + rest.String(),
		})
		begun := time.Now()
		code, out := meshcIn(t, dir, "vet", "--untrusted", "--max-time", "3s", "--max-memory", "256MiB")
		took := time.Since(begun)
		if took > 20*time.Second {
			t.Errorf("%s: after %s", name, took)
		}
		switch {
		case code == exitLimit && strings.Contains(out, "MC0108"):
			limited++
		case code == exitFault || code == exitLimit || len(out) > 1<<20:
			t.Errorf("%s: exit code %d: %.300s", name, code, out)
		}
		t.Logf("%-26s exit %d after %4.1fs: %.110q", name, code, took.Seconds(), out)
	}
	if limited < 10 {
		t.Errorf("only %d of %d reached a limit", limited, len(all))
	}
}
