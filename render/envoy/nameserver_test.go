package envoy

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// nameServer answers for names as a test says, over UDP, and counts how often it is asked for an address.
type nameServer struct {
	conn    net.PacketConn
	mu      sync.Mutex
	answers map[string]dnsAnswer
	asked   map[string]int
}

// dnsAnswer is the answer for a name: addresses, or a code; without either, the name has no data.
type dnsAnswer struct {
	addresses []netip.Addr
	ttl       uint32
	code      dnsmessage.RCode
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	n := &nameServer{conn: conn, answers: map[string]dnsAnswer{}, asked: map[string]int{}}
	go n.serve()
	return n
}

// say has a name lead to an address from now on.
func (n *nameServer) say(name, address string) { n.sayFor(name, 1, address) }

// sayFor has a name lead to addresses from now on, each answer for that many seconds.
func (n *nameServer) sayFor(name string, ttl uint32, addresses ...string) {
	a := dnsAnswer{ttl: ttl}
	for _, address := range addresses {
		a.addresses = append(a.addresses, netip.MustParseAddr(address))
	}
	n.answer(name, a)
}

func (n *nameServer) answer(name string, a dnsAnswer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[name+"."] = a
}

// times is how often the server was asked for the address of a name.
func (n *nameServer) times(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[name+"."]
}

func (n *nameServer) serve() {
	buffer := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		name := strings.ToLower(q.Name.String())
		n.mu.Lock()
		answer := n.answers[name]
		if q.Type == dnsmessage.TypeA {
			n.asked[name]++
		}
		n.mu.Unlock()
		m.RCode = answer.code
		for _, ip := range answer.addresses {
			var body dnsmessage.ResourceBody
			switch {
			case q.Type == dnsmessage.TypeA && ip.Is4():
				body = &dnsmessage.AResource{A: ip.As4()}
			case q.Type == dnsmessage.TypeAAAA && ip.Is6():
				body = &dnsmessage.AAAAResource{AAAA: ip.As16()}
			default:
				continue
			}
			header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: answer.ttl}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: body})
		}
		if data, err := m.Pack(); err == nil {
			_, _ = n.conn.WriteTo(data, from) // who asks asks again
		}
	}
}

// asks has a proxy look names up there.
func (n *nameServer) asks(t *testing.T, boot *bootstrapv3.Bootstrap) {
	t.Helper()
	config := &caresv3.CaresDnsResolverConfig{}
	if err := boot.TypedDnsResolverConfig.TypedConfig.UnmarshalTo(config); err != nil {
		t.Fatal(err)
	}
	to := address("127.0.0.1", uint16(n.conn.LocalAddr().(*net.UDPAddr).Port))
	to.GetSocketAddress().Protocol = corev3.SocketAddress_UDP
	config.Resolvers = []*corev3.Address{to}
	repack(t, boot.TypedDnsResolverConfig.TypedConfig, config)
}

// asksOften has a proxy look names up there all the time, whatever their TTL.
func (n *nameServer) asksOften(t *testing.T, boot *bootstrapv3.Bootstrap) {
	t.Helper()
	n.asks(t, boot)
	lookUps(t, boot, func(resolver *caresv3.CaresDnsResolverConfig, d *dnsv3.DnsCluster) {
		resolver.QcacheMaxTtl, d.RespectDnsTtl, d.DnsMinRefreshRate = nil, false, nil
	})
}

// lookUps changes how a proxy looks names up, and has it do so often.
func lookUps(t *testing.T, boot *bootstrapv3.Bootstrap, change func(*caresv3.CaresDnsResolverConfig,
	*dnsv3.DnsCluster),
) {
	t.Helper()
	resolver := &caresv3.CaresDnsResolverConfig{}
	if err := boot.TypedDnsResolverConfig.TypedConfig.UnmarshalTo(resolver); err != nil {
		t.Fatal(err)
	}
	for _, c := range boot.StaticResources.Clusters {
		if packed := c.GetClusterType().GetTypedConfig(); packed.MessageIs((*dnsv3.DnsCluster)(nil)) {
			d := &dnsv3.DnsCluster{}
			if err := packed.UnmarshalTo(d); err != nil {
				t.Fatal(err)
			}
			d.DnsRefreshRate, d.DnsJitter = durationpb.New(20*time.Millisecond), nil
			change(resolver, d)
			repack(t, packed, d)
		}
	}
	repack(t, boot.TypedDnsResolverConfig.TypedConfig, resolver)
}

func repack(t *testing.T, into *anypb.Any, m proto.Message) {
	t.Helper()
	if err := into.MarshalFrom(m); err != nil {
		t.Fatal(err)
	}
}
