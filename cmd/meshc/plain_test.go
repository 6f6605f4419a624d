package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile are pieces of text that are a command to somebody who shows it.
var hostile = []string{
	"::set-env name=A::b", "\n::add-mask::a", "\r\n  ::stop-commands::x", "::error file=a::b", "##[group]x",
	"##[add-mask]x", "##vso[task.setvariable variable=a]b", "##teamcity[buildStop]",
	"section_start:1560896352:a\r\x1b[0Kb", "\x1b]0;title\a", "\x1b[2J", "\x1b[31m", "\u009b31m", "\x7f", "\b\b\b",
	"\u202eevil", "\u2066a\u2069", "\u200b", "\ufeff", "\U000e0041", "\u2028::warning::x",
	"[press](https://evil.example)", "![x](https://evil.example)", "<script>alert(1)</script>", "|a|b|", "`",
	"@everyone", "\\", "\"", "'", ": ", "::", ":", "#", "[", "%0A::error::x", "\t", " ", "a", "é",
}

func hostileText(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(5) {
		b.WriteString(hostile[r.IntN(len(hostile))])
	}
	return b.String()
}

// command is what a line of output may not be to a CI.
var command = regexp.MustCompile(`^\s*::|##[A-Za-z-]*\[|section_(start|end):`)

// harmful is the first thing in the output that is more than text; "" for none. Workflow commands of GitHub are wanted
// in its own form of the findings alone.
func harmful(out string, workflow bool) string {
	for line := range strings.SplitSeq(out, "\n") {
		own := workflow && regexp.MustCompile(`^::(error|warning) [^\s]*title=MC\d{4}::`).MatchString(line)
		if command.MatchString(line) && !own {
			return line
		}
		for _, r := range line {
			if r == unicode.ReplacementChar || r != '\t' && (unicode.IsControl(r) ||
				unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) {
				return fmt.Sprintf("%U in %s", r, line)
			}
		}
	}
	return ""
}

// TestPlain writes random text in random pieces: nothing in what comes out is a command or controls a terminal, and in
// a string of JSON it is the same text still.
func TestPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		text := hostileText(r)
		for _, raw := range []bool{true, false} {
			in := text
			if !raw {
				data, err := json.Marshal(text)
				if err != nil {
					t.Fatal(err)
				}
				in = string(data)
			}
			var b bytes.Buffer
			w := newPlain(&b)
			for rest := in; rest != ""; {
				n := 1 + r.IntN(len(rest))
				if _, err := w.Write([]byte(rest[:n])); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if found := harmful(b.String(), false); found != "" {
				t.Fatalf("%q is written as %q, with %q", in, b.String(), found)
			}
			var back string
			if !raw && (json.Unmarshal(b.Bytes(), &back) != nil || back != text) {
				t.Fatalf("%q is %s, and read again %q", text, b.String(), back)
			}
		}
	}
	for in, want := range map[string]string{
		"good\n\ttext: é {a::b} ## [x] [::1]\n": "good\n\ttext: é {a::b} ## [x] [::1]\n", "\xff\x9b": `\ufffd\ufffd`,
		"  ::x": `  :\u003ax`,
	} {
		var b bytes.Buffer
		if _, err := newPlain(&b).Write([]byte(in)); err != nil || b.String() != want {
			t.Errorf("%q is written as %q, want %q: %v", in, b.String(), want, err)
		}
	}
	var b bytes.Buffer // of a terminal
	w := &plain{to: &b, colors: true, blank: true}
	for _, part := range []string{"\x1b", "[1;31mred\x1b[0m", "\x1b[2J", "\x1b[31", "mx"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if want := "\x1b[1;31mred\x1b[0m\\u001b[2J\x1b[31mx"; b.String() != want {
		t.Errorf("a terminal gets %q, want %q", b.String(), want)
	}
}

// TestLogIsPlain logs random text, as it comes from specs and proxies: it stays text, and read as JSON it is the same.
func TestLogIsPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 2000 {
		text := hostileText(r)
		var b bytes.Buffer
		newLog(newPlain(&b)).Error(text, "reason", text)
		if found := harmful(b.String(), false); found != "" {
			t.Fatalf("%q is logged as %q, with %q", text, b.String(), found)
		}
		var back struct{ Msg, Reason string }
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || utf8.ValidString(text) && (back.Msg != text ||
			back.Reason != text) {
			t.Fatalf("%q is logged as %s: %v", text, b.String(), err)
		}
	}
}

// text is a string of a spec.
var text = regexp.MustCompile(`"[^"\\]*"`)

// TestTextIsNoCommand puts hostile text in the place of strings of a good spec, and has each command show it in each of
// its forms: whatever it says, it stays text. MESHC_HOSTILE is how many specs there are.
func TestTextIsNoCommand(t *testing.T) {
	specs := 3
	if n, err := strconv.Atoi(os.Getenv("MESHC_HOSTILE")); err == nil {
		specs = n
	}
	for seed := range specs {
		r := rand.New(rand.NewPCG(uint64(seed), 2)) // #nosec G404 G115 -- a test
		root := t.TempDir()
		good, dir := filepath.Join(root, "good"), filepath.Join(root, "mesh")
		for _, to := range []string{good, dir} {
			if err := os.CopyFS(to, os.DirFS("../../examples/shop")); err != nil {
				t.Fatal(err)
			}
		}
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".cue" || strings.Contains(name, "cue.mod") || r.IntN(3) == 0 {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			strings := text.FindAllIndex(data, -1)
			if len(strings) == 0 {
				return nil
			}
			at := strings[r.IntN(len(strings))]
			quoted, err := json.Marshal(hostileText(r))
			if err != nil {
				return err
			}
			return os.WriteFile(name, append(append(append([]byte(nil), data[:at[0]]...), quoted...), data[at[1]:]...),
				0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"vet"},
			{"vet", "--format", "json"},
			{"vet", "--format", "sarif"},
			{"vet", "--format", "github"},
			{"compile", "-o", "-"},
			{"compile", "-o", "../out", "--untrusted", "--format", "github"},
			{"diff", "../good", "."},
			{"diff", "../good", ".", "-o", "markdown"},
			{"diff", "../good", ".", "-o", "json"},
			{"verify", "--offline", "-o", "json"},
			{"graph"},
			{"describe", hostileText(r)},
			{"try", "--from", hostileText(r), "http://cart" + hostileText(r)},
		} {
			var stdout, stderr strings.Builder
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "\x00", "")
			}
			cmd := exec.Command("meshc", args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "MESHC_CACHE=off")
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // it may well find something
			for _, out := range []string{stdout.String(), stderr.String()} {
				if found := harmful(out, args[len(args)-1] == "github"); found != "" {
					t.Errorf("spec %d: %q shows %q", seed, args, found)
				}
			}
			if args[len(args)-1] == "sarif" && strings.Contains(stdout.String(), "](") {
				t.Errorf("spec %d: a link in %s", seed, stdout.String())
			}
			if form := args[len(args)-1]; (form == "json" || form == "sarif") && stdout.Len() > 0 &&
				!json.Valid([]byte(stdout.String())) {
				t.Errorf("spec %d: %q writes no JSON: %.300s", seed, args, stdout.String())
			}
		}
	}
}
