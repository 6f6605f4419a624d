package render_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/local"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/render"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/render/manifest"
)

var update = flag.Bool("update", false, "write what the tests got as what they want")

// TestFeatures compiles each spec of testdata/feature and wants the outputs that
// stand beside it, those that the feature is seen in: want/PATH is a file of the
// output directory, want/xds/MEMBER.TYPE.yaml what serve sends the member's
// proxies, TYPE being clusters, endpoints, listeners, routes or secrets, and
// want/xds/MEMBER/ADDRESS.TYPE.yaml that of the instance at the address. Of these
// a file may select a part, see [selectLine]. Every field of every output stands in
// some file. Every bootstrap of every spec, with all its resources, must please a
// real Envoy.
func TestFeatures(t *testing.T) {
	files, err := filepath.Glob("../testdata/feature/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there are no features")
	}
	judge, held := newJudge(t), newHeld()
	var ran atomic.Int32
	t.Cleanup(func() {
		if int(ran.Load()) == len(files) {
			held.check(t)
		}
	})
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := compileArchive(t, archive)
			judge.mesh(t, m)
			wanted(t, file, archive, outputs(t, m), held)
			ran.Add(1)
		})
	}
}

// TestExamples wants every bootstrap of the examples, with all its resources, to
// please a real Envoy.
func TestExamples(t *testing.T) {
	modules, err := filepath.Glob("../examples/*/cue.mod")
	if err != nil || len(modules) == 0 {
		t.Fatalf("there are no examples: %v", err)
	}
	judge := newJudge(t)
	for _, module := range modules {
		dir := filepath.Dir(module)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			judge.mesh(t, compileDir(t, dir))
		})
	}
}

func compileArchive(t *testing.T, archive *txtar.Archive) *ir.Mesh {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{
		"cue.mod/module.cue": []byte("module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"),
	}
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			files[f.Name] = f.Data
		}
	}
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return compileDir(t, dir)
}

func compileDir(t *testing.T, dir string) *ir.Mesh {
	t.Helper()
	r, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Diagnostics {
		t.Errorf("%v %s: %s", d.Positions, d.Code, d.Message)
	}
	if r.Mesh == nil {
		t.FailNow()
	}
	return r.Mesh
}

// outputs are all that a feature may be seen in, by name below want/.
func outputs(t *testing.T, m *ir.Mesh) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	files, err := render.Files(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		out[f.Path] = f.Data
	}
	for _, scope := range m.Scopes() {
		name := "xds/" + scope.Member().Name
		instances := map[string]string{name: ""}
		if s := scope.Service; s != nil {
			for _, e := range s.Workload.Endpoints {
				instances[name+"/"+e.Address] = e.Name
			}
		}
		for name, instance := range instances {
			r, err := envoy.Build(scope, envoy.Options{Instance: instance})
			if err != nil {
				t.Fatal(err)
			}
			out[name+".clusters.yaml"] = yaml(t, r.Clusters)
			out[name+".endpoints.yaml"] = yaml(t, envoy.Assignments(r.Discovered, scope.Endpoint(instance),
				live.Written))
			out[name+".listeners.yaml"] = yaml(t, r.Listeners)
			out[name+".routes.yaml"] = yaml(t, r.Routes)
			out[name+".secrets.yaml"] = yaml(t, r.Secrets)
		}
	}
	return out
}

func yaml[T proto.Message](t *testing.T, list []T) []byte {
	t.Helper()
	var docs []any
	for _, m := range list {
		data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, json.RawMessage(data))
	}
	data, err := manifest.YAML(docs...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func wanted(t *testing.T, file string, archive *txtar.Archive, got map[string][]byte, held *held) {
	t.Helper()
	for name, data := range got {
		held.output(t, name, data, true)
	}
	found := false
	for i, f := range archive.Files {
		name, ok := strings.CutPrefix(f.Name, "want/")
		if !ok {
			continue
		}
		found = true
		data, there := got[name]
		if paths, lines := selections(f.Data); there && len(paths) > 0 {
			var err error
			if data, err = selectFrom(data, paths); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			data = append(lines, data...)
		}
		held.output(t, name, data, false)
		switch {
		case !there:
			t.Errorf("there is no output %s", name)
		case *update:
			archive.Files[i].Data = data
		case !bytes.Equal(data, f.Data):
			t.Errorf("%s: got\n%s\nwant\n%s", name, data, f.Data)
		}
	}
	if !found {
		t.Error("the feature is seen in no output")
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// judge asks a real Envoy whether it would take a bootstrap.
type judge struct {
	envoy, certificates string
	slots               chan struct{} // how many may run at once
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	binary, err := local.Envoy("", "")
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{envoy: binary, certificates: t.TempDir(), slots: make(chan struct{}, 4)}
	settings := ir.Settings{Name: "judge", TrustDomain: "shop.example"}
	if _, err := svid.DirectKeeper(authority, j.certificates, settings.ServerIdentity(), 3600e9).
		Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j
}

// mesh asks about every proxy of the mesh.
func (j *judge) mesh(t *testing.T, m *ir.Mesh) {
	t.Helper()
	compiledSeries(t, m)
	var asking sync.WaitGroup
	for _, scope := range m.Scopes() {
		for _, instance := range instancesOf(scope) {
			asking.Go(func() { j.proxy(t, scope, envoy.Options{Instance: instance}) })
		}
	}
	asking.Wait()
}

// some asks about one proxy of each member, by chance.
func (j *judge) some(t *testing.T, m *ir.Mesh, chance *rand.Rand) {
	t.Helper()
	var asking sync.WaitGroup
	for _, scope := range m.Scopes() {
		instances := instancesOf(scope)
		instance := instances[chance.IntN(len(instances))]
		asking.Go(func() { j.proxy(t, scope, envoy.Options{Instance: instance}) })
	}
	asking.Wait()
}

// instancesOf are those that a member's proxies differ by: "" for one of which the spec says nothing, and its
// endpoints.
func instancesOf(scope ir.Scope) []string {
	instances := []string{""}
	if scope.Service != nil {
		for _, e := range scope.Service.Workload.Endpoints {
			instances = append(instances, e.Name)
		}
	}
	return instances
}

func (j *judge) proxy(t *testing.T, scope ir.Scope, o envoy.Options) {
	boot, err := envoy.Bootstrap(scope, o)
	if err == nil && scope.Settings.Delivery == ir.DeliveryXDS {
		var r *envoy.Resources
		if r, err = envoy.Build(scope, o); err == nil {
			boot, err = envoy.Inline(boot, r, scope.Endpoint(o.Instance))
		}
	}
	if err != nil {
		t.Error(err)
		return
	}
	data, err := envoy.YAML(boot)
	if err != nil {
		t.Error(err)
		return
	}
	// The files that it names are on the proxy's host, and not on this one.
	text := string(data)
	for _, dir := range []string{scope.Member().Proxy.CertificateDirectory, "/etc/ssl/certs"} {
		text = strings.ReplaceAll(text, dir, j.certificates)
	}
	text = strings.ReplaceAll(text, "ca-certificates.crt", "ca.crt")
	for _, secret := range scope.Secrets() {
		text = strings.ReplaceAll(text, filepath.Join(scope.Member().Proxy.SecretDirectory, secret)+"/", j.certificates+"/")
	}
	for _, v := range secretValues(&scope) {
		if err := os.WriteFile(filepath.Join(j.certificates, v.Key), []byte("value"), 0o600); err != nil {
			t.Error(err)
		}
	}
	name := filepath.Join(t.TempDir(), "bootstrap.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Error(err)
		return
	}
	j.slots <- struct{}{}
	defer func() { <-j.slots }()
	out, err := exec.Command(j.envoy, "--mode", "validate", "--log-level", "warning", "-c", name).CombinedOutput()
	if err != nil {
		t.Errorf("Envoy refuses the bootstrap of %s %q: %v\n%s", scope.Member().Name, o.Instance, err, out)
	}
}

// secretValues are those that a member's proxy reads.
func secretValues(scope *ir.Scope) (out []ir.SecretValue) {
	if c := scope.Settings.Collector; c != nil {
		for i := range c.Headers {
			out = append(out, c.Headers[i].SecretValue)
		}
	}
	if g := scope.Gateway; g != nil {
		for i := range g.Clients {
			out = append(append(out, g.Clients[i].APIKeys...), g.Clients[i].Passwords...)
		}
	}
	return out
}

// TestDeterministic compiles an example 20 times, with one processor and with
// two, and with its files made in another order, and wants the same bytes.
func TestDeterministic(t *testing.T) {
	var first map[string][]byte
	source := os.DirFS("../examples/shop")
	for i := range 20 {
		dir := t.TempDir()
		names := []string{}
		archive := &txtar.Archive{}
		if err := walk(source, func(name string, data []byte) {
			names = append(names, name)
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: data})
		}); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			slices.Reverse(archive.Files)
		}
		for _, f := range archive.Files {
			path := filepath.Join(dir, f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got := inProcessors(t, 1+i%2, dir)
		if first == nil {
			first = got
		}
		if len(got) != len(first) {
			t.Fatalf("run %d wrote %d files, the first %d", i, len(got), len(first))
		}
		for name, data := range first {
			if !bytes.Equal(data, got[name]) {
				t.Fatalf("run %d: %s differs", i, name)
			}
		}
	}
}
