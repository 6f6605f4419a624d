package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// commitsOfHistory are the commits of one random repository; each is compared with each other one.
const commitsOfHistory = 5

// TestPairsOfCommits makes random repositories and compares their commits with one another: meshc diff of a revision
// and a checkout finds what meshc diff of two fresh checkouts finds, or tells a file that Git makes otherwise than it
// is committed, by name and attribute; and it does tell each of those. MESHC_COMMIT_PAIRS is how many pairs, and
// MESHC_SEED what they are made of.
func TestPairsOfCommits(t *testing.T) {
	pairs, seed := trytest.Amount(os.Getenv("MESHC_COMMIT_PAIRS"), 40), trytest.Seed(t)
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	t.Setenv("MESHC_CACHE", t.TempDir())
	came := map[string]int{}
	for done := 0; done < pairs && !t.Failed(); seed++ {
		t.Run(fmt.Sprintf("MESHC_SEED=%d", seed), func(t *testing.T) {
			plain, trees := checkOut(t, seed)
			for i, a := range plain {
				for k, b := range trees {
					if i != k && done < pairs {
						came[compareCheckouts(t, a, b)]++
						done++
					}
				}
			}
		})
	}
	t.Log(came)
	if least := pairs / 20; pairs >= 200 && (came["effects"] < least || came["not as committed"] < least) {
		t.Errorf("that proves little: %v", came)
	}
}

// checkout is a fresh checkout of a commit.
type checkout struct {
	// dir is the mesh's directory in it, and name the branch's and the tag's of the commit.
	dir, name string
	compiled  *compiler.Result
	// converted are the files that are not what is committed, with why; suspect those of which an attribute or a kind
	// says that they may not be.
	converted, suspect map[string]string
}

// errors are the codes of what is wrong with the mesh.
func (c *checkout) errors() []string {
	var codes []string
	for _, d := range c.compiled.Diagnostics {
		if d.Severity == diag.Error {
			codes = append(codes, string(d.Code))
		}
	}
	return codes
}

// gitOf runs Git as its user does, with the repository's own settings.
func gitOf(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %v: %v: %s", args, err, stderr.String())
	}
	return out.String()
}

// checkOut makes the repository of a seed and, for each commit, a plain clone of it, and one with settings that a
// machine may have: they change a work tree, and not what is committed.
func checkOut(t *testing.T, seed uint64) (plain, trees []*checkout) {
	t.Helper()
	source, random := t.TempDir(), rand.New(rand.NewPCG(seed, 2))
	h := newHistory(seed)
	var stream strings.Builder
	for n := range commitsOfHistory {
		stream.WriteString(h.fastImport(n))
		fmt.Fprintf(&stream, "reset refs/heads/c%d\nfrom :%d\n\nreset refs/tags/t%d\nfrom :%d\n\n", n, n+1, n, n+1)
		h.change()
	}
	fmt.Fprintf(&stream, "reset refs/tags/origin/main\nfrom :%d\n\n", 1+random.IntN(commitsOfHistory))
	gitOf(t, source, "init", "-q", "-b", "main")
	cmd := exec.Command("git", "-C", source, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(stream.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%s", out, stream.String())
	}
	filter := []string{"-c", "filter.x.smudge=sed s/POST/GET/", "-c", "filter.x.clean=cat"}
	setting := []string{"core.autocrlf=true", "core.eol=crlf", "", "", ""}[random.IntN(5)]
	for n := range commitsOfHistory {
		clone := func(settings ...string) *checkout {
			top := t.TempDir()
			gitOf(t, top, append(append([]string{"clone", "-q", "--no-checkout"}, settings...), source, ".")...)
			gitOf(t, top, "checkout", "-q", "--detach", fmt.Sprintf("t%d", n))
			return look(t, top, h.prefix, strconv.Itoa(n))
		}
		plain = append(plain, clone(filter...))
		if setting == "" {
			trees = append(trees, plain[n])
		} else {
			trees = append(trees, clone(append(filter, "-c", setting)...))
		}
	}
	return plain, trees
}

// look says what a checkout is: the mesh, and by Git itself what of it is not as it is committed.
func look(t *testing.T, top, prefix, name string) *checkout {
	t.Helper()
	c := &checkout{
		dir: filepath.Join(top, prefix), name: name, converted: map[string]string{},
		suspect: map[string]string{},
	}
	var err error
	if c.compiled, err = compiler.Compile(t.Context(), compiler.Options{
		Dir: c.dir, CacheDir: cacheDir(),
		Now: time.Unix(1, 0),
	}); err != nil {
		t.Fatal(err)
	}
	for _, read := range c.compiled.Names {
		file := c.compiled.Target(read)
		if info, err := os.Lstat(filepath.Join(c.dir, file)); err != nil || !info.Mode().IsRegular() {
			continue // a link that cannot be followed
		}
		data, err := os.ReadFile(filepath.Join(c.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.ToSlash(filepath.Join(prefix, file))
		if committed := gitOf(t, top, "cat-file", "blob", "HEAD:"+at); committed != string(data) {
			c.converted[file] = fmt.Sprintf("%q, and committed is %q (%s)", data, committed,
				gitOf(t, top, "check-attr", "-a", "--cached", "--", at))
		}
		given := strings.Split(gitOf(t, top, "check-attr", "-z", "filter", "ident", "working-tree-encoding", "eol",
			"text", "crlf", "--", at), "\x00")
		for i := 0; i+2 < len(given); i += 3 {
			if value := given[i+2]; value != "unspecified" && value != "unset" {
				c.suspect[file] += given[i+1] + "=" + value + " "
			}
		}
	}
	for line := range strings.Lines(gitOf(t, top, "ls-tree", "-r", "HEAD", "--", "./"+prefix)) {
		if at, submodule := strings.CutPrefix(line, modeSubmodule+" "); submodule {
			_, at, _ = strings.Cut(strings.TrimSpace(at), "\t")
			at = strings.TrimPrefix(strings.TrimPrefix(at, prefix), "/")
			if !strings.HasPrefix(at, "_") {
				c.converted[at] = "a submodule"
			}
		}
	}
	return c
}

// compareCheckouts compares b's work tree with a's commit, and the two checkouts, and says what came out.
func compareCheckouts(t *testing.T, a, b *checkout) string {
	t.Helper()
	diffOf := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"diff", "-o", "json"}, args...), strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, _, said := diffOf("--from", "origin/main", b.dir); code != exitFault ||
		!strings.Contains(said, "ambiguous") && len(b.errors()) == 0 {
		t.Errorf("origin/main is a branch and a tag: exit code %d, %s", code, said)
	}
	name := map[bool]string{true: "t" + a.name, false: "origin/c" + a.name}[a.name < b.name]
	code, found, said := diffOf("--from", name, "--from-tip", b.dir)
	about := fmt.Sprintf("from %s to %s (%s)", a.name, b.name, b.dir)
	if strings.Contains(said, string(diag.NotAsCommitted)) {
		for _, c := range []*checkout{a, b} {
			for _, file := range append(slices.Collect(maps.Keys(c.suspect)),
				slices.Collect(maps.Keys(c.converted))...) {
				if strings.Contains(said, string(diag.NotAsCommitted)+": "+file+" ") {
					return "not as committed"
				}
			}
		}
		t.Errorf("%s: nothing is converted: %s", about, said)
	}
	looked := map[string]*checkout{"the work tree": b}
	if len(b.errors()) == 0 {
		looked["the revision"] = a
	}
	for of, c := range looked {
		for file, why := range c.converted {
			t.Errorf("%s: of %s, %s is not told, %s: exit code %d, %s", about, of, file, why, code, said)
		}
	}
	directCode, directFound, directSaid := diffOf(a.dir, b.dir)
	if code != directCode || !sameDifference(t, found, directFound) {
		t.Errorf("%s: exit code %d\n%s%s\nand of two directories %d\n%s%s", about, code, found, said, directCode,
			directFound, directSaid)
	}
	if code != exitFault {
		return "effects"
	}
	wrong := b.errors()
	if len(wrong) == 0 { // of a revision the first is told
		wrong = a.errors()[:1]
	}
	for _, code := range wrong {
		if !strings.Contains(said, code) {
			t.Errorf("%s: %s is not told: %s", about, code, said)
		}
	}
	return "errors"
}

// sameDifference compares what was printed as JSON, but for who is an owner: of two directories without history the
// files that are not CUE are not known.
func sameDifference(t *testing.T, a, b string) bool {
	t.Helper()
	if a == "" || b == "" {
		return a == b
	}
	var both [2]map[string]any
	for i, text := range []string{a, b} {
		if err := json.Unmarshal([]byte(text), &both[i]); err != nil {
			t.Fatal(err)
		}
		delete(both[i], "foreign")
	}
	return fmt.Sprint(both[0]) == fmt.Sprint(both[1])
}
