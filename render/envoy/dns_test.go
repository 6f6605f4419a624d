package envoy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// named is a client that calls what it looks up: externals of two ports each, a member by its name, and one whose
// instances are pods.
type named struct {
	server *nameServer
	scope  ir.Scope
	pods   string            // the name by which the pods are found
	bind   map[string]string // by "NAME PORT"
}

func newNamed(t *testing.T, externals ...string) *named {
	t.Helper()
	n := &named{server: newNameServer(t), bind: map[string]string{}}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "web")
	}))
	t.Cleanup(web.Close)
	p := &pair{authority: newAuthority(t)}
	free := freePorts(t, 20)
	next := func() uint16 { p := free[0]; free = free[1:]; return p }
	client := caller(t, p.authority, next())
	use := func(to string, external bool, ports ...string) {
		u := ir.Use{To: to, External: external, Ports: ports, Binds: map[string]string{}}
		for _, port := range ports {
			u.Binds[port] = fmt.Sprintf("127.0.0.1:%d", next())
			n.bind[to+" "+port] = u.Binds[port]
		}
		client.Uses = append(client.Uses, u)
	}
	m := &ir.Mesh{Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic}}
	for _, name := range externals {
		e := &ir.External{Name: name, Hosts: []string{name + ".example"}, Local: true}
		for _, port := range []ir.Port{{Name: "http", Protocol: ir.HTTP}, {Name: "tcp", Protocol: ir.TCP}} {
			port.Number, port.Target = portOf(web.Listener), portOf(web.Listener)
			e.Ports = append(e.Ports, port)
		}
		m.Externals = append(m.Externals, e)
		use(name, true, "http", "tcp")
	}
	number := p.serverWith(t, identity("member").String())
	member := &ir.Service{Upstream: ir.Upstream{
		Name: "member", Namespace: "shop", Identity: identity("member"), Workload: ir.Workload{DNS: "member.example"},
		Ports: []ir.Port{{Name: "http", Number: number, Target: number, Protocol: ir.HTTP}},
	}, Proxy: proxy(ir.InterceptExplicit)}
	use("member", false, "http")
	number = p.serverWith(t, identity("pods").String())
	pods := &ir.Service{Upstream: ir.Upstream{
		Name: "pods", Namespace: "shop", Identity: identity("pods"), Explicit: true,
		Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.Deployment, Name: "pods"}},
		Ports:    []ir.Port{{Name: "http", Number: number, Target: number, Protocol: ir.HTTP}},
	}, Proxy: proxy(ir.InterceptExplicit)}
	use("pods", false, "http")
	n.pods = m.ClusterHost(&pods.Upstream, "")
	m.Services = []*ir.Service{client, member, pods}
	n.scope = m.ServiceScope(client)
	return n
}

// start runs the client's proxy, which looks names up as changed.
func (n *named) start(t *testing.T, change func(*caresv3.CaresDnsResolverConfig, *dnsv3.DnsCluster)) {
	t.Helper()
	boot, err := Bootstrap(n.scope, Options{Instance: "a"})
	if err != nil {
		t.Fatal(err)
	}
	n.server.asks(t, boot)
	lookUps(t, boot, change)
	start(t, boot)
}

// reach wants all that the client calls to be reached, besides those that are gone.
func (n *named) reach(t *testing.T, why string, gone ...string) {
	t.Helper()
	for what, bind := range n.bind {
		if slices.Contains(gone, what) {
			continue
		}
		if status, body := get(t, "http://"+bind+"/open/x"); status != http.StatusOK {
			t.Errorf("%s: %s is not reached: %d %s", why, what, status, body)
		}
	}
}

// TestLastAnswerIsKept: whatever a name server says but addresses, an external or a member that is found by a name is
// reached where it was last, over HTTP and as bytes; and where new addresses lead as soon as there are some. Pods are
// reached where they were last while the cluster's name server fails; once it says that there are none, they are gone.
func TestLastAnswerIsKept(t *testing.T) {
	n := newNamed(t, "out")
	hosts := []string{"out.example", "member.example", n.pods}
	for _, host := range hosts {
		n.server.say(host, "127.0.0.1")
	}
	n.start(t, func(resolver *caresv3.CaresDnsResolverConfig, d *dnsv3.DnsCluster) {
		resolver.QcacheMaxTtl, d.RespectDnsTtl, d.DnsMinRefreshRate = nil, false, nil
	})
	n.reach(t, "found")
	// until each cluster has asked again
	asked := func(why string) {
		t.Helper()
		before := map[string]int{}
		for _, host := range hosts {
			before[host] = n.server.times(host)
		}
		eventually(t, why+" is heard", func() error {
			for _, host := range hosts {
				if more := n.server.times(host) - before[host]; more < 12 {
					return fmt.Errorf("%s: %d times", host, more)
				}
			}
			return nil
		})
	}
	for why, answer := range map[string]dnsAnswer{
		"no such name": {code: dnsmessage.RCodeNameError}, "no data": {},
		"a failure": {code: dnsmessage.RCodeServerFailure}, "a refusal": {code: dnsmessage.RCodeRefused},
	} {
		for _, host := range hosts {
			n.server.answer(host, answer)
		}
		asked(why)
		if answer.code == dnsmessage.RCodeServerFailure || answer.code == dnsmessage.RCodeRefused {
			n.reach(t, why)
			continue
		}
		eventually(t, why+": the pods are gone", func() error {
			if status, body := get(t, "http://"+n.bind["pods http"]+"/open/x"); status != http.StatusServiceUnavailable {
				return fmt.Errorf("%d %s", status, body)
			}
			return nil
		})
		n.reach(t, why, "pods http")
		n.server.say(n.pods, "127.0.0.1")
		eventually(t, why+": the pods are back", func() error {
			if status, body := get(t, "http://"+n.bind["pods http"]+"/open/x"); status != http.StatusOK {
				return fmt.Errorf("%d %s", status, body)
			}
			return nil
		})
	}
	for _, host := range hosts {
		n.server.sayFor(host, 1, "127.0.0.9") // where nothing but the member's listener is
	}
	eventually(t, "another address is taken", func() error {
		if status, _ := get(t, "http://"+n.bind["out http"]+"/"); status == http.StatusOK {
			return fmt.Errorf("the one before answers")
		}
		return nil
	})
}

// TestNamesAreLookedUpByTTL: a name is looked up again when the TTL of its answer is over, and once for all its ports.
func TestNamesAreLookedUpByTTL(t *testing.T) {
	n := newNamed(t, "long", "short")
	n.server.sayFor("long.example", 300, "127.0.0.1")
	n.server.sayFor("short.example", 2, "127.0.0.1")
	n.server.say("member.example", "127.0.0.1")
	n.server.say(n.pods, "127.0.0.1")
	n.start(t, func(_ *caresv3.CaresDnsResolverConfig, d *dnsv3.DnsCluster) {
		if d.RespectDnsTtl {
			d.DnsMinRefreshRate = durationpb.New(time.Second)
		}
		d.DnsJitter = durationpb.New(500 * time.Millisecond)
	})
	n.reach(t, "found")
	const clusters = 4 // of two ports, each of two: they ask at the same time when the proxy starts
	if first := n.server.times("short.example"); first > clusters {
		t.Errorf("looked up %d times", first)
	}
	eventually(t, "the short answer is over three times", func() error {
		if times := n.server.times("short.example"); times < clusters+3 {
			return fmt.Errorf("looked up %d times", times)
		}
		return nil
	})
	if times := n.server.times("long.example"); times > clusters {
		t.Errorf("an answer for 300s: looked up %d times", times)
	}
	n.reach(t, "later")
}
