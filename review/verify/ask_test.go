package verify

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/host/local"
)

// TestAsk sends requests through a mesh that it finds by its spec, as another process does, and compares each answer
// with what follows from the spec. By a spec with another route it says otherwise.
func TestAsk(t *testing.T) {
	m, _ := compiled(t, spec)
	dir := t.TempDir()
	if _, err := local.Find(dir); err == nil || !strings.Contains(err.Error(), "start it with meshc up") {
		t.Errorf("before it runs: %v", err)
	}
	startFound(t, m, dir)
	running, err := local.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	buyer := &try.Token{Issuer: "accounts", Claims: map[string][]string{"role": {"buyer"}}}
	for _, c := range []struct {
		from, method, url string
		token             *try.Token
		http2             bool
		says              []string
	}{
		{"gateway:public", "GET", "https://www.shop.example/shop/", nil, false, []string{
			"the request is answered 200 by web v1", "meshc try agrees: the request reaches web v1, port http",
			"each step with its line: meshc try --from gateway:public GET https://www.shop.example/shop/",
		}},
		{"gateway:public", "GET", "https://www.shop.example/shop/", nil, true, []string{"answered 200 by web v1"}},
		{"gateway:public", "GET", "http://www.shop.example/shop/", nil, false, []string{"answered 308 by a proxy"}},
		{"gateway:public", "GET", "https://www.shop.example/no", nil, false, []string{"answered 404 by a proxy"}},
		{"web", "POST", "http://orders/shop.Orders/Place", buyer, false, []string{"answered 200 by orders a"}},
		{"web", "POST", "http://orders.default/shop.Orders/Place", nil, false, []string{
			"answered 401 by a proxy", "to allow it: a token of accounts",
		}},
		{"other", "POST", "http://orders/", nil, false, []string{
			"answered 401 by a proxy", "it went past the proxy of its sender",
		}},
	} {
		q := &Question{HTTP2: c.http2}
		if q.Request.From, err = try.ParseSender(c.from); err != nil {
			t.Fatal(err)
		}
		q.Request.Method, q.Request.Token = c.method, c.token
		if err := q.Request.ParseURL(c.url); err != nil {
			t.Fatal(err)
		}
		asked, err := Ask(t.Context(), running, q)
		if err != nil {
			t.Errorf("%s %s by %s: %v", c.method, c.url, c.from, err)
			continue
		}
		var text bytes.Buffer
		if err := asked.Text(&text); err != nil {
			t.Fatal(err)
		}
		for _, says := range append(c.says, "meshc try agrees") {
			if !strings.Contains(text.String(), says) {
				t.Errorf("%s %s by %s: no %q in\n%s", c.method, c.url, c.from, says, text.String())
			}
		}
		if c.http2 && asked.Protocol != "HTTP/2.0" {
			t.Errorf("%s was answered in %s", c.url, asked.Protocol)
		}
	}

	other, _ := compiled(t, strings.Replace(spec, `to: [{version: "v1"}]`, `to: [{version: "v2"}]`, 1))
	running.Mesh = other
	q := &Question{Request: try.Request{From: try.Sender{Kind: ir.KindGateway, Name: "public"}, Method: "GET"}}
	if err := q.Request.ParseURL("https://www.shop.example/shop/"); err != nil {
		t.Fatal(err)
	}
	asked, err := Ask(t.Context(), running, q)
	if err != nil || asked.Agrees || asked.Status != 200 {
		t.Errorf("by a spec with another route: %v, %+v", err, asked)
	}
	q.Request.From = try.Sender{Kind: try.Outside}
	if _, err := Ask(t.Context(), running, q); err == nil || !strings.Contains(err.Error(), "outside has no proxy") {
		t.Errorf("from outside: %v", err)
	}
}

// startFound runs a mesh until the test ends, which is found by the directory of its spec.
func startFound(t *testing.T, m *ir.Mesh, spec string) {
	t.Helper()
	starting, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	mesh, err := local.Start(starting, local.Options{Mesh: m, Spec: spec, SignTokens: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestAnswersAreSafeForATerminal writes an answer of an application that tries to move the cursor over what meshc says.
func TestAnswersAreSafeForATerminal(t *testing.T) {
	a := Asked{
		text: "is answered 200 by web\x1b[2J v1", Body: "a\tb\r\nc\x1b[1A\x1b[2K\rthe end\n", Trial: &try.Trial{},
	}
	var text bytes.Buffer
	if err := a.Text(&text); err != nil {
		t.Fatal(err)
	}
	const want = "the request is answered 200 by web\\u001b[2J v1\n\na\tb\nc\\u001b[1A\\u001b[2K\\u000dthe end\n"
	if !strings.HasPrefix(text.String(), want) {
		t.Errorf("%q, want %q first", text.String(), want)
	}
}
