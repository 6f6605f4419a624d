//go:build e2e

package plants

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/render/envoy"
)

// inProxies are what happens to proxies and to meshc serve.
func inProxies() []plant {
	return []plant{
		{
			"proxy-dead", func(t *testing.T, f *field) string {
				of := []string{"stock", "quota", "vault"}[f.rand.IntN(3)]
				f.kill(t, of, syscall.SIGKILL)
				return of
			},
			both(absent("service/TARGET/a"), failing("", "service TARGET", 503, "UpstreamConnectionFailure")),
		},
		{
			"configuration-crashes-proxy", crashes,
			both(absent("service/quota/a"), failing("service web", "service quota", 503, "UpstreamConnectionFailure")),
		},
		{"stream-without-updates", holdsBack, denied("service batch", "service stock")},
		{
			"issuer-not-reloaded", rotatesAlone,
			both(absent("service/quota/a"), failing("service web", "service quota", 503, "UpstreamConnectionFailure")),
		},
		{
			"clock-wrong", expires,
			both(absent("service/quota/a"), failing("service web", "service quota", 503, "UpstreamConnectionFailure")),
		},
	}
}

// pid is the process of the Envoy of a service's only instance.
func (f *field) pid(t *testing.T, service string) int {
	t.Helper()
	bootstrap := filepath.Join(f.Directory(), "service", service, "a", "envoy.yaml")
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		line, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(line), "\x00"+bootstrap+"\x00") {
			continue // it may be gone
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			return pid
		}
	}
	t.Fatalf("the Envoy of %s does not run", service)
	return 0
}

func (f *field) kill(t *testing.T, service string, how syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(f.pid(t, service), how); err != nil {
		t.Fatal(err)
	}
}

// holdsBack has meshc serve send a proxy nothing new, over a stream that is open: what a new rule allows is denied.
func holdsBack(t *testing.T, f *field) string {
	t.Helper()
	old := map[string]ir.Scope{}
	for _, scope := range f.Placed().Scopes() {
		if scope.Member().Name == "stock" {
			old["stock"] = scope
		}
	}
	f.renders(func(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
		if was, held := old[scope.Member().Name]; held {
			scope = was
		}
		return envoy.Build(scope, o)
	})
	f.change(t, "stock.cue", `paths: ["/orders/*"]`, `paths: ["/orders/*", "/returns/*"]`)
	f.load.add(flow{perSecond: 20, url: "http://stock:7071/returns/1", by: "batch"})
	return ""
}

// rotatesAlone gives a member a certificate of an authority that nobody else was told of, and starts its proxy anew.
func rotatesAlone(t *testing.T, f *field) string {
	t.Helper()
	other, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	f.certify(t, other, time.Hour)
	f.restart(t, "quota", syscall.SIGKILL)
	return ""
}

// expires has the certificate of a member end, as on a host whose clock is behind and which does not renew it, and
// starts its proxy anew.
func expires(t *testing.T, f *field) string {
	t.Helper()
	const lifetime = 2 * time.Second
	f.certify(t, f.authority, lifetime)
	end := time.Now().Add(lifetime)
	eventually(t, "the end of the certificate", func() string {
		if time.Now().After(end) {
			return ""
		}
		return "it is valid"
	})
	f.restart(t, "quota", syscall.SIGKILL)
	return ""
}

// certify gives quota a certificate of the authority.
func (f *field) certify(t *testing.T, authority *ca.Authority, lifetime time.Duration) {
	t.Helper()
	quota, issued := f.Placed().Service("quota"), t.TempDir()
	if _, err := svid.DirectKeeper(authority, issued, quota.Identity, lifetime).Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var files [3][]byte
	for i, name := range []string{svid.CertificateFile, svid.KeyFile, svid.TrustFile} {
		data, err := os.ReadFile(filepath.Join(issued, name))
		if err != nil {
			t.Fatal(err)
		}
		files[i] = data
	}
	if err := svid.Publish(quota.Proxy.CertificateDirectory, files[0], files[1], files[2]); err != nil {
		t.Fatal(err)
	}
}

// crashes changes a member's configuration, and has its Envoy crash each time that it has acknowledged it.
func crashes(t *testing.T, f *field) string {
	t.Helper()
	f.change(t, "quota.cue", "requests: 40", "requests: 45")
	for range 3 {
		f.restart(t, "quota", syscall.SIGSEGV)
	}
	f.kill(t, "quota", syscall.SIGSEGV)
	return ""
}

// restart ends the Envoy of a service, and has the mesh start it again.
func (f *field) restart(t *testing.T, service string, how syscall.Signal) {
	t.Helper()
	f.kill(t, service, how)
	node := fmt.Sprintf("service/%s/a", service)
	eventually(t, "the end of "+node, func() string {
		for _, p := range f.Status().Proxies {
			if p.ID == node && p.State != "exited" {
				return p.State
			}
		}
		return ""
	})
	ctx, cancel := context.WithTimeout(t.Context(), restartTime)
	defer cancel()
	_ = f.Update(ctx, f.compile(t)) // it may not become what the mesh waits for
}

// restartTime is enough for an Envoy to start, and bounds how long one is waited for that does not get well.
const restartTime = 10 * time.Second
