package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/review/admin"
)

// Sources say what is collected.
type Sources struct {
	// Servers are admin addresses of meshc serve, HOST:PORT, and Envoys those of proxies.
	Servers, Envoys []string
	// Spec is the root of the module with the spec, whose files are collected; empty for none.
	Spec string
	// Logs are files.
	Logs []string
	// Meshc is the version of who collects.
	Meshc string
}

// answerTime is how long each answer is waited for.
const answerTime = 10 * time.Second

// serverPaths are what is asked of meshc serve, besides the configuration of each proxy: what it serves, to whom, which
// edges had which requests in the last 15 minutes, and what has changed.
var serverPaths = []string{
	"/status", "/mesh", "/edges?window=15m0s", "/edges?steps=true&window=15m0s", "/edges?window=15s", "/recent",
	"/metrics",
}

// envoyPaths are what is asked of a proxy.
var envoyPaths = []string{
	"/server_info", "/clusters?format=json", "/listeners?format=json", "/config_dump?include_eds", "/runtime", "/certs",
	"/memory", "/stats?format=json", "/stats?format=json&filter=ssl",
}

// growing are those of these paths that are asked once more.
var growing = []string{"/clusters?format=json", "/stats?format=json&filter=ssl"}

// Between is the time between the two.
const Between = 2 * time.Second

// Collect asks and reads all sources. What cannot be had is told in the manifest, and is no error.
func Collect(ctx context.Context, from Sources, now time.Time) *Bundle {
	b := &Bundle{
		Manifest: Manifest{
			Format: Format, Meshc: from.Meshc, Created: now.UTC().Truncate(time.Second), Files: []File{},
		},
		content: map[string][]byte{},
	}
	for i, address := range from.Servers {
		dir := fmt.Sprintf("server/%d", i+1)
		for _, p := range serverPaths {
			b.ask(ctx, dir, File{Address: address, Path: p})
		}
		for _, hash := range b.meshes(address) {
			b.ask(ctx, dir, File{Address: address, Path: "/mesh?hash=" + url.QueryEscape(hash)})
		}
		for _, node := range b.nodes(address) {
			b.ask(ctx, dir+"/config", File{Address: address, Path: "/config?node=" + url.QueryEscape(node)})
		}
	}
	for i, address := range from.Envoys {
		for _, p := range envoyPaths {
			b.ask(ctx, fmt.Sprintf("envoy/%d", i+1), File{Address: address, Path: p})
		}
	}
	b.later(ctx, from.Envoys)
	if from.Spec != "" {
		b.spec(from.Spec)
	}
	for i, name := range from.Logs {
		b.file(fmt.Sprintf("logs/%d-%s", i+1, filepath.Base(name)), name, name)
	}
	return b
}

// nodes are the connected proxies of a server.
func (b *Bundle) nodes(address string) (out []string) {
	var status struct {
		Proxies []struct {
			Node      string
			Connected bool
		}
	}
	data, err := b.Answer(address, "/status")
	if err != nil || json.Unmarshal(data, &status) != nil {
		return nil
	}
	for _, p := range status.Proxies {
		if p.Connected {
			out = append(out, p.Node)
		}
	}
	return out
}

// meshes are the hashes of those that a server has served.
func (b *Bundle) meshes(address string) (out []string) {
	var recent struct{ Meshes []struct{ Hash string } }
	data, err := b.Answer(address, "/recent")
	if err != nil || json.Unmarshal(data, &recent) != nil {
		return nil
	}
	for _, m := range recent.Meshes {
		out = append(out, m.Hash)
	}
	return out
}

// later asks Envoys once more for what grows.
func (b *Bundle) later(ctx context.Context, envoys []string) {
	if len(envoys) == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(Between):
	}
	for i, address := range envoys {
		for _, p := range growing {
			b.ask(ctx, fmt.Sprintf("envoy/%d/later", i+1), File{Address: address, Path: p, Later: true})
		}
	}
}

// ask collects an answer to what a file says.
func (b *Bundle) ask(ctx context.Context, dir string, f File) {
	data, err := fetch(ctx, f.Address, f.Path)
	if err != nil {
		f.Error = err.Error()
		b.Files = append(b.Files, f)
		return
	}
	name := dir + "/" + plain(f.Path)
	if f.Path == "/metrics" {
		name += ".txt"
	} else {
		name += ".json"
	}
	b.add(f, name, data)
}

// plain is a path as the name of a file.
func plain(asked string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' {
			return c
		}
		return '-'
	}, strings.TrimPrefix(asked, "/config?node=")), "-")
}

// add puts a file into the bundle, without its secrets. One that still holds something that looks like a secret is left
// out.
func (b *Bundle) add(f File, name string, data []byte) {
	for b.content[name] != nil { // two paths that are written alike
		name = path.Dir(name) + "/again-" + path.Base(name)
	}
	data, f.Redacted = redacted(name, data)
	if kind := secret.Find(string(data)); kind != "" {
		f.Error = "left out: it holds " + kind
	} else {
		f.Name, b.content[name] = name, data
	}
	b.Files = append(b.Files, f)
}

// spec collects the files of a module's specs: those of CUE, and no others.
func (b *Bundle) spec(root string) {
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case !d.Type().IsRegular() || filepath.Ext(name) != ".cue":
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err == nil {
			relative = filepath.ToSlash(relative)
			b.file("spec/"+relative, name, relative)
		}
		return err
	})
	if err != nil {
		b.Files = append(b.Files, File{Source: "spec", Error: err.Error()})
	}
}

// file collects a file of this machine; of a large one the end.
func (b *Bundle) file(name, from, source string) {
	f := File{Source: source}
	data, cut, err := tail(from)
	if err != nil {
		f.Error = err.Error()
		b.Files = append(b.Files, f)
		return
	}
	if cut {
		f.Error = fmt.Sprintf("only its last %d MiB are here", maxFile>>20)
	}
	b.add(f, name, data)
}

// tail reads the end of a file, from the beginning of a line.
func tail(name string) (data []byte, cut bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, false, errors.New("only regular files are collected")
	}
	if cut = info.Size() > maxFile; cut {
		if _, err := f.Seek(-maxFile, io.SeekEnd); err != nil {
			return nil, false, err
		}
	}
	data, err = io.ReadAll(io.LimitReader(f, maxFile))
	if cut {
		_, rest, _ := strings.Cut(string(data), "\n")
		data = []byte(rest)
	}
	return data, cut, err
}

// fetch reads an answer to a GET request.
func fetch(ctx context.Context, address, asked string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	data, err := admin.Read(ctx, address, asked)
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("its answer is larger than %d MiB", maxFile>>20)
	}
	return data, err
}
