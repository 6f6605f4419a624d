package diff

import (
	"strings"
	"testing"
)

// A way of datagrams that a change opens is told with one that takes it, as what a member calls and as what anybody may
// send, and so is one that it closes. A port of TCP with the same number is another one.
func TestWaysOfDatagrams(t *testing.T) {
	const spec = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: {
	web: {workload: deployment: "web", uses: {statsd: {}, ntp: {}}}
	statsd: {
		workload: deployment: "statsd"
		ports: {tcp: {port: 8125, protocol: "tcp"}, udp: {port: 8125, protocol: "udp"}}
		allow: [{from: services: ["web"], ports: ["tcp"]}MORE]
		silence: {MC1703: "metrics", MC1737: "metrics"}
	}
}
external: ntp: {hosts: ["10.7.0.0/16"], ports: {tcp: {port: 123, protocol: "tcp"}TIME}}
`
	for _, c := range []struct{ from, to, want string }{
		{
			"MORE", `, {from: services: ["web"], ports: ["udp"]}`,
			"service web → service statsd: meshc try --from web udp://statsd:8125",
		},
		{
			"MORE", `, {from: {anyone: true, ipRanges: ["10.9.0.0/16"]}, ports: ["udp"]}`,
			"outside → service statsd, past a proxy of the sender's own: meshc try --from outside udp://statsd:8125 --ip 10.9.0.0",
		},
		{
			"TIME", `, udp: {port: 123, protocol: "udp"}`,
			"service web → external ntp: meshc try --from web udp://10.7.0.0:123",
		},
	} {
		before := compiled(t, t.TempDir(), strings.NewReplacer("MORE", "", "TIME", "").Replace(spec))
		after := compiled(t, t.TempDir(), strings.NewReplacer(c.from, c.to, "MORE", "", "TIME", "").Replace(spec))
		for kind, effects := range map[Kind][]*Effect{
			NewlyAllowed: Of(before, after).Effects, NewlyDenied: Of(after, before).Effects,
		} {
			var told []string
			for _, e := range effects {
				if e.Kind == kind {
					told = append(told, e.subject()+": "+e.Witness.Command)
				}
			}
			found := false
			for _, text := range told {
				found = found || text == c.want
			}
			if !found {
				t.Errorf("%s: %s is told as %q, want %q among them", c.to, kind, told, c.want)
			}
		}
	}
}
