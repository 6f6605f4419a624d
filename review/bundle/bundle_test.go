package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/secret/planted"
)

var noon = time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)

// secrets are what nobody may find in a bundle, by kind, as it is written in a log and as a field of JSON.
func secrets() map[string][]string {
	out := map[string][]string{
		"a header authorization": {"authorization: Digest s3cr3t-0", `{"headers": {"Authorization": "Digest s3cr3t-0"}}`},
		"a header as Envoy has it": {
			`proxy-authorization: s3cr3t-1`, `{"header": {"key": "proxy-authorization", "value": "s3cr3t-1"}}`,
		},
		"a cookie":             {"cookie: session=s3cr3t-2; theme=dark", `{"request.headers": {"cookie": ["session=s3cr3t-2"]}}`},
		"a cookie that is set": {`set-cookie: "id=s3cr3t-3"`, `{"set-cookie": "id=s3cr3t-3; Path=/"}`},
		"a variable":           {"DB_PASSWORD=s3cr3t-4", `{"name": "DB_PASSWORD", "value": "s3cr3t-4"}`},
		"any variable of a container": {
			`AUTH_TOKEN="s3cr3t-5 x"`, `{"env": [{"name": "PLAIN", "value": "s3cr3t-5"}, "PLAIN=s3cr3t-5"]}`,
		},
		"an API key":         {"X-Api-Key: s3cr3t-6", `{"x-api-key": "s3cr3t-6"}`},
		"a query string":     {`"GET /cart?user=s3cr3t-7 HTTP/1.1" 200`, `{"url.query": "user=s3cr3t-7"}`},
		"a client's address": {"x-forwarded-for: 198.51.100.s3cr3t-8", `{"x-forwarded-for": "198.51.100.s3cr3t-8"}`},
		"a user":             {"x-user-email: s3cr3t-9@shop.example", `{"x-user-email": "s3cr3t-9@shop.example"}`},
		"a key in a secret":  {"inline_bytes: czNjcjN0s3cr3t-10", `{"private_key": {"inline_bytes": "czNjcjN0s3cr3t-10"}}`},
	}
	for kind, text := range planted.Secrets {
		quoted, _ := json.Marshal(text) // a string has JSON
		out[kind] = []string{text, fmt.Sprintf(`{"message": %s}`, quoted)}
	}
	return out
}

// marks are the parts of a secret that no file may hold: each line of it without what is around it.
func marks(text string) (out []string) {
	if at := strings.Index(text, "s3cr3t"); at >= 0 {
		return []string{strings.FieldsFunc(text[at:], func(c rune) bool { return strings.ContainsRune(`"; @\ }`, c) })[0]}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "-----") {
			out = append(out, line[len(line)/2:])
		}
	}
	return out
}

// Ten kinds of secrets, and some more, are planted in everything that is collected, and none is in the bundle.
func TestBundleHasNoSecrets(t *testing.T) {
	dir := t.TempDir()
	var logs, answers []string
	for _, forms := range secrets() {
		logs, answers = append(logs, "12:00 a line before "+forms[0]), append(answers, forms[1])
	}
	var text []string
	for _, line := range answers {
		text = append(text, line+"\n")
	}
	write(t, dir, "envoy.log", strings.Join(logs, "\nand one after it\n")+"\n"+strings.Join(text, ""))
	for kind, s := range planted.Secrets {
		write(t, dir, "spec/"+strings.ReplaceAll(kind, " ", "-")+".cue", "package shop\nx: #\"\"\"\n"+s+"\n\"\"\"#\n")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			fmt.Fprintln(w, strings.Join(logs, "\n"))
			return
		}
		fmt.Fprintf(w, `{"proxies": [{"node": "service/cart/a", "connected": true}], "all": [%s]}`, strings.Join(answers, ","))
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	b := Collect(t.Context(), Sources{
		Servers: []string{address}, Envoys: []string{address}, Spec: filepath.Join(dir, "spec"),
		Logs: []string{filepath.Join(dir, "envoy.log")},
	}, noon)
	for kind, forms := range secrets() {
		for _, mark := range marks(forms[0]) {
			for name, data := range b.content {
				if name != "server/1/mesh.json" && bytes.Contains(data, []byte(mark)) {
					t.Errorf("%s: %s has %q of it", kind, name, mark)
				}
			}
		}
	}
	for kind, s := range planted.Secrets { // what is compiled has none by its names
		if mark := marks(s)[0]; bytes.Contains(b.Content("server/1/mesh.json"), []byte(mark)) {
			t.Errorf("%s: mesh.json has %q of it", kind, mark)
		}
	}
	for _, f := range b.Files {
		if f.Error != "" || f.Redacted == 0 {
			t.Errorf("%+v", f)
		}
	}
	if log := string(b.Content("logs/1-envoy.log")); strings.Count(log, "and one after it\n") != len(logs)-1 {
		t.Error("lines without secrets are gone")
	}
}

// What is no secret stays as it is.
func TestBundleKeepsTheRest(t *testing.T) {
	const answer = `{"hash":"0123456789abcdef","path":"/a?b","proxies":[],"since":1e3,"token":{"life":"1h"},"tokens":["a"]}` + "\n"
	if out, n := redacted("server/1/status.json", []byte(answer)); n != 0 || string(out) != answer {
		t.Errorf("%d were taken out of %s", n, out)
	}
	const mesh = `{"cookie":"session","regex":"/a?b","secret":"web-tls","value":"x: authorization: y"}` + "\n"
	if out, n := redacted("server/1/mesh.json", []byte(mesh)); n != 0 || string(out) != mesh {
		t.Errorf("%d were taken out of %s", n, out)
	}
	const log = "[2027-01-02][info] cm init: all clusters initialized\n{\"url.path\":\"/cart\",\"http.response.status_code\":\"200\"}\n"
	if out, n := redacted("logs/1-a", []byte(log)); n != 0 || !slices.Equal(strings.Fields(string(out)), strings.Fields(
		strings.Replace(log, `{"url.path":"/cart","http.response.status_code":"200"}`,
			`{"http.response.status_code":"200","url.path":"/cart"}`, 1))) {
		t.Errorf("%d were taken out of %s", n, out)
	}
}

// A bundle is read as it was written, and tells what could not be had.
func TestBundleIsRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/recent" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"asked":%q}`+"\n", r.URL.String())
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	b := Collect(t.Context(), Sources{
		Servers: []string{address, "127.0.0.1:1"}, Logs: []string{"/none"}, Meshc: "v1.2.3",
	}, noon)
	var first, second bytes.Buffer
	err := errors.Join(b.Write(&first), b.Write(&second))
	if err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatalf("it is not written alike: %v", err)
	}
	again, err := Read(&first)
	if err != nil || again.Meshc != "v1.2.3" || !again.Created.Equal(noon) || !slices.Equal(again.Files, b.Files) {
		t.Fatalf("it is read as %+v: %v", again, err)
	}
	for path, want := range map[string]string{
		"/status":                        `{"asked":"/status"}`,
		"/edges?window=15m0s":            `{"asked":"/edges?window=15m0s"}`,
		"/edges?steps=true&window=15m0s": `{"asked":"/edges?steps=true&window=15m0s"}`,
	} {
		data, err := again.Answer(address, path)
		if err != nil || strings.ReplaceAll(strings.TrimSpace(string(data)), `\u0026`, "&") != want {
			t.Errorf("%s: %s %v", path, data, err)
		}
	}
	if _, err := again.Answer(address, "/recent"); err == nil || err.Error() != "it answers 404 to /recent" {
		t.Errorf("of what there is none: %v", err)
	}
	if _, err := again.Answer("127.0.0.1:1", "/status"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("of a server that is gone: %v", err)
	}
	if _, err := again.Answer(address, "/nothing"); err == nil {
		t.Error("what was not asked has an answer")
	}
}

// What grows is asked twice of a proxy, and each mesh that a server has served is asked for, so that the doctor finds
// in a bundle what it would have asked for.
func TestBundleHasWhatTheDoctorAsks(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/recent":
			fmt.Fprint(w, `{"meshes": [{"hash": "a1"}, {"hash": "b2"}]}`)
		case "/clusters":
			asked++
			fmt.Fprint(w, asked)
		default:
			fmt.Fprintf(w, "%q", r.URL.RawQuery)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	b := Collect(t.Context(), Sources{Servers: []string{address}, Envoys: []string{address}}, noon)
	first, err1 := b.Answer(address, "/clusters?format=json")
	second, err2 := b.Later(address, "/clusters?format=json")
	mesh, err3 := b.Answer(address, "/mesh?hash=b2")
	if err := errors.Join(err1, err2, err3); err != nil || string(first) != "1\n" || string(second) != "2\n" ||
		string(mesh) != `"hash=b2"`+"\n" {
		t.Errorf("%q, later %q, and the mesh %q: %v", first, second, mesh, err)
	}
	if got := b.Asked("/recent"); !slices.Equal(got, []string{address}) {
		t.Errorf("asked were %v", got)
	}
}

func TestWrongBundles(t *testing.T) {
	packed := func(name, text string) io.Reader {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600})
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err = errors.Join(err, w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	for want, of := range map[string]io.Reader{
		"not compressed by gzip":     strings.NewReader("x"),
		"it has no manifest.json":    packed("other.json", "{}"),
		"has the format 2, and this": packed("manifest.json", `{"format": 2}`),
		"has the format 0":           packed("manifest.json", `{}`),
	} {
		if _, err := Read(of); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
