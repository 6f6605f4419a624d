package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// ordnance are meshes that want too much of some part of meshc, by what they do: a directory's files beside a good
// mesh.cue, and how the rest of it is made.
func ordnance() map[string]func(t *testing.T, dir string) {
	files := func(make func() map[string]string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { writeAll(t, dir, make()) }
	}
	one := func(text string) func(*testing.T, string) {
		return files(func() map[string]string { return map[string]string{"a.cue": "package shop\n\n" + text} })
	}
	service := func(fields string) string {
		return "services: a: {workload: deployment: \"a\", ports: http: {port: 80, protocol: \"http\"}\n" + fields + "}\nservices: b: {workload: deployment: \"b\", uses: a: {}}\n"
	}
	repeated := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	return map[string]func(*testing.T, string){
		"files of comments": files(func() map[string]string {
			out := map[string]string{}
			for i := range 12 {
				out[fmt.Sprintf("f%d.cue", i)] = "package shop\n" + strings.Repeat("// nothing is said here\n", 4<<20/24)
			}
			return out
		}),
		"more than a module may have": files(func() map[string]string {
			out := map[string]string{}
			for i := range 12 {
				out[fmt.Sprintf("f%d.cue", i)] = "package shop\n" + strings.Repeat("//\n", 6<<20/3)
			}
			return out
		}),
		"one long comment":  one("// " + strings.Repeat("x", 7<<20) + "\n"),
		"deep nesting":      one("_a: " + strings.Repeat("{a: ", 1<<20) + "1" + strings.Repeat("}", 1<<20) + "\n"),
		"a huge string":     one(service("tls: \"" + strings.Repeat("x", 7<<20) + "\"\n")),
		"a long wrong line": one("services: " + strings.Repeat("x", 7<<20) + ": {workload: 7}\n"),
		"rules with headers": one(service("allow: [" + repeated(40, func(i int) string {
			return "{from: services: [\"b\"], headers: {" + repeated(8, func(j int) string { return fmt.Sprintf("\"x-%d-%d\": exact: \"v%d\",", i, j, i) }) + "}},\n"
		}) + "]\n")),
		"regular expressions": one(service("allow: [" + repeated(20, func(i int) string {
			return fmt.Sprintf("{from: services: [\"b\"], headers: \"x-%d\": regex: \"(a|b|ab)*%s\"},\n", i, strings.Repeat("(a|b)", 12+i))
		}) + "]\n")),
		"a regular expression that repeats": one(service("allow: [{from: services: [\"b\"], headers: x: regex: \"((a{10}){10}){10}\"}]\n")),
		"units": files(func() map[string]string {
			out := map[string]string{}
			for i := range 3000 {
				out[fmt.Sprintf("s%d/s.cue", i)] = fmt.Sprintf("package shop\n\nservices: s%d: {workload: deployment: \"s\", ports: http: {port: 80, protocol: \"http\"}}\n", i)
			}
			return out
		}),
		"5,000 errors":             one("services: {" + repeated(5000, func(i int) string { return fmt.Sprintf("s%d: {wrong%d: 1}\n", i, i) }) + "}\n"),
		"5,000 errors of the mesh": one(service("uses: {" + repeated(5000, func(i int) string { return fmt.Sprintf("nobody%d: {}\n", i) }) + "}\n")),
		"an import cycle": files(func() map[string]string {
			return map[string]string{"x/x.cue": "package x\n\nimport \"shop.example/mesh/y\"\n\nv: y.v\n", "y/y.cue": "package y\n\nimport \"shop.example/mesh/x\"\n\nv: x.v\n", "a.cue": "package shop\n\nimport \"shop.example/mesh/x\"\n\n_v: x.v\n"}
		}),
		"a great number":        one("services: a: {workload: deployment: \"a\", ports: http: {port: " + strings.Repeat("9", 1<<20) + ", protocol: \"http\"}}\n"),
		"a great exponent":      one("services: a: {workload: deployment: \"a\", ports: http: {port: 1e999999999, protocol: \"http\"}}\n"),
		"NULs":                  one("services: \"\\u0000\": {workload: deployment: \"a\"}\n_a: \"\x00\x00\"\n"),
		"a string that doubles": one("_x0: \"aaaaaaaa\"\n" + repeated(30, func(i int) string { return fmt.Sprintf("_x%d: \"\\(_x%d)\\(_x%d)\"\n", i+1, i, i) }) + "mesh: silence: MC1203: _x30\n"),
		"tests without end":     one("import \"list\"\n" + service("allow: [{from: services: [\"b\"]}]\n") + "tests: {for i in list.Range(0, 20000, 1) {\"t\\(i)\": {from: \"b\", request: url: \"http://a/\\(i)\", expect: allowed: true}}}\n"),
		"pipes, devices and directories": func(t *testing.T, dir string) {
			for _, err := range []error{
				syscall.Mkfifo(filepath.Join(dir, "pipe.cue"), 0o600), os.Symlink("/dev/zero", filepath.Join(dir, "zero.cue")),
				os.Symlink("/dev/tty", filepath.Join(dir, "tty.cue")), os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", 1000)), 0o700), os.Mkdir(filepath.Join(dir, "is.cue"), 0o700),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		},
		"links, sockets and holes": linksAndHoles,
	}
}

// linksAndHoles makes a file of a TiB, a socket, links that lead to themselves, and a chain of links.
func linksAndHoles(t *testing.T, dir string) {
	t.Helper()
	hole, err := os.Create(filepath.Join(dir, "hole.cue"))
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	errs := []error{
		hole.Truncate(1 << 40), syscall.Mknod(filepath.Join(dir, "socket.cue"), syscall.S_IFSOCK|0o600, 0), os.Symlink("loop.cue", filepath.Join(dir, "loop.cue")),
		os.Symlink("..", filepath.Join(dir, "up")), os.Symlink(".", filepath.Join(dir, "here")),
		os.WriteFile(filepath.Join(dir, "link0"), []byte("package shop\n"), 0o600),
	}
	for i := range 3000 {
		errs = append(errs, os.Symlink(fmt.Sprint("link", i), filepath.Join(dir, fmt.Sprint("link", i+1))))
	}
	errs = append(errs, os.Symlink("link3000", filepath.Join(dir, "chain.cue")))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// TestEverythingHasItsLimit runs each command on meshes that want too much of some part of it: it ends with a finding
// or with none, has no more memory than it may, shows nobody how it broke, and leaves neither files nor processes
// behind. With MESHC_ORDNANCE=all every command meets every mesh; else they take turns.
func TestEverythingHasItsLimit(t *testing.T) {
	const limit = 384 // MiB
	commands := [][]string{{"vet"}, {"compile", "-o", "../out"}, {"diff", "../base", "."}, {"verify", "--offline"}, {"vet", "--format", "json"}, {"diff", "../base", ".", "-o", "json"}}
	dump := regexp.MustCompile(`(?m)^(goroutine \d|fatal error|panic:|runtime|SIG[A-Z]+:|signal )|\.go:\d+`)
	wanted := map[string]string{"more than a module may have": "MC0120", "pipes, devices and directories": "MC0120", "links, sockets and holes": "MC0005", "files of comments": "MC0108", "a string that doubles": "MC0108"}
	all := ordnance()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range all {
			if !yield(name) {
				return
			}
		}
	})
	for i, name := range names {
		root, temporary := t.TempDir(), t.TempDir()
		base := map[string]string{"cue.mod/module.cue": moduleText, "mesh.cue": "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n"}
		dir := filepath.Join(root, "mesh")
		writeAll(t, filepath.Join(root, "base"), base)
		writeAll(t, dir, base)
		all[name](t, dir)
		for j, args := range commands {
			if os.Getenv("MESHC_ORDNANCE") != "all" && i%len(commands) != j {
				continue
			}
			within := "4s"
			if wanted[name] == "MC0120" || wanted[name] == "MC0005" {
				within = "1h" // what is refused for what it is must not end for lack of time
			}
			cmd := exec.Command("meshc", append(slices.Clone(args), "--untrusted", "--max-time", within, "--max-memory", fmt.Sprintf("%dMiB", limit))...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
			var out, errors bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errors
			debug.FreeOSMemory() // a process begins with the largest size of the one that starts it (getrusage(2))
			if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
				t.Fatal(err)
			}
			err := cmd.Run()
			code := cmd.ProcessState.ExitCode()
			used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10 // of the largest process
			t.Logf("%-34s %-32v exit %d, %3d MiB: %.120q", name, args, code, used, errors.String())
			switch {
			case err != nil && code < 0 || code == exitFault && args[0] != "diff": // that says so of a mesh with errors
				t.Errorf("%s: %v: %v: %.300s", name, args, err, errors.String())
			case code == exitLimit && !strings.Contains(out.String()+errors.String(), "MC0108"), !strings.Contains(out.String()+errors.String(), wanted[name]):
				t.Errorf("%s: %v: exit code %d without the finding: %.300s", name, args, code, errors.String())
			}
			if used > limit+limit/16 { // a busy machine looks late
				t.Errorf("%s: %v: %d MiB", name, args, used)
			}
			if found := dump.Find(append(out.Bytes(), errors.Bytes()...)); found != nil {
				t.Errorf("%s: %v: it shows %q: %.300s", name, args, found, errors.String())
			}
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
				t.Errorf("%s: %v: it left %v, %v", name, args, left, err)
			}
		}
	}
}
