package ir_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// reading reads data with the reader, as from a file.
func reading(r *ir.Reader, data []byte) (*ir.Mesh, error) {
	return r.Read(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
}

// TestReader edits random meshes at random, and spoils what they are written to: one reader that reads them all reads
// what is read of each alone, and takes over each member that has not changed.
func TestReader(t *testing.T) {
	seed := trytest.Seed(t)
	g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, 0)), Keys: `"{\"keys\": []}"`}
	dir := t.TempDir()
	var reader, keeper ir.Reader
	var digests ir.Digester
	var last, lastKept *ir.Mesh
	spec := g.Spec()
	for n := 0; n < 30; {
		if spec = g.Edited(spec); g.IntN(20) == 0 {
			spec = g.Spec()
		}
		compiled := compiletest.Compile(t, dir, map[string]string{"mesh.cue": spec.Text()}).Mesh
		if compiled == nil {
			continue
		}
		n++
		data, err := ir.Marshal(compiled)
		if err != nil {
			t.Fatal(err)
		}
		m := wantSame(t, &reader, data)
		wantShared(t, last, m)
		if digest, err := digests.Digest(m); err != nil || digest != ir.Digest(data) {
			t.Fatalf("its digest is %s and not %s: %v", digest, ir.Digest(data), err)
		}
		kept, err := keeper.Keep(compiled)
		if err != nil || string(marshalled(t, kept)) != string(data) || !ir.Same(kept.Review, compiled.Review) {
			t.Fatalf("a mesh that is kept became another: %v", err)
		}
		wantShared(t, lastKept, kept)
		for range 20 {
			wantSame(t, &reader, spoiled(g.Rand, data))
		}
		last, lastKept = wantSame(t, &reader, data), kept
	}
}

// wantSame wants the reader to read what [ir.Unmarshal] does, or to refuse it with the same error.
func wantSame(t *testing.T, r *ir.Reader, data []byte) *ir.Mesh {
	t.Helper()
	got, err := reading(r, data)
	want, wantErr := ir.Unmarshal(data)
	switch {
	case (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error():
		t.Fatalf("the error is %v and not %v, of\n%s", err, wantErr, data)
	case err == nil && string(marshalled(t, got)) != string(marshalled(t, want)):
		t.Fatalf("it reads another mesh than there is in\n%s", data)
	}
	return got
}

// wantShared wants members that are alike in two meshes to be the same values.
func wantShared(t *testing.T, last, m *ir.Mesh) {
	t.Helper()
	if last == nil {
		return
	}
	lines := func(m *ir.Mesh) []string { return strings.Split(string(marshalled(t, m)), "\n") }
	before := lines(last)
	for i, s := range m.Services {
		line := lines(&ir.Mesh{Services: m.Services[i : i+1]})[2]
		alike := slices.ContainsFunc(before, func(was string) bool { return strings.TrimSuffix(was, ",") == line })
		if was := last.Service(s.Name); alike != (was == s) {
			t.Fatalf("service %s is alike: %t, and the same value: %t", s.Name, alike, was == s)
		}
	}
}

// spoiled is a mesh.json that somebody has written otherwise, or wrongly.
func spoiled(r *rand.Rand, data []byte) []byte {
	lines := bytes.SplitAfter(slices.Clone(data), []byte("\n"))
	i := r.IntN(len(lines))
	switch r.IntN(8) {
	case 0:
		lines = slices.Delete(lines, i, i+1)
	case 1:
		lines = slices.Insert(lines, i, lines[r.IntN(len(lines))])
	case 2:
		j := r.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
	case 3:
		lines[i] = bytes.TrimSuffix(lines[i], []byte("\n"))
	case 4:
		lines[i] = bytes.Replace(lines[i], []byte(","), []byte([]string{"", ",,", ", ", ",\n"}[r.IntN(4)]), 1)
	case 5:
		lines[i] = bytes.TrimSuffix(lines[i], []byte(",\n"))
	case 6:
		lines[i] = bytes.Replace(lines[i], []byte(`"`), []byte([]string{`"x`, "", ` "`, "null"}[r.IntN(4)]), 1)
	default:
		lines[i] = append(lines[i], []string{"\n", "null\n", "{}\n", "]}\n", ",\n", " ", "[\n"}[r.IntN(7)]...)
	}
	return bytes.Join(lines, nil)
}

func marshalled(t *testing.T, m *ir.Mesh) []byte {
	t.Helper()
	data, err := ir.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReaderReadsLongLines reads a line that is longer than what is read at once.
func TestReaderReadsLongLines(t *testing.T) {
	m := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": `package shop
mesh: {name: "shop", trustDomain: "shop.example"}
services: a: {workload: deployment: "a", uses: b: {}}
services: b: {workload: deployment: "b", ports: http: {port: 8080, protocol: "http"}, allow: [{from: services: ["a"]}],
	routes: [{to: [{service: "b"}]}]}
`}).Mesh.Clone()
	m.Service("b").Routes[0].Name = strings.Repeat("long ", 1<<18)
	var r ir.Reader
	first := wantSame(t, &r, marshalled(t, m))
	m.Service("a").Account = "other"
	if second := wantSame(t, &r, marshalled(t, m)); second.Service("b") != first.Service("b") {
		t.Error("the long line has not changed, and is another value")
	}
}
