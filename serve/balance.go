package serve

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// balance is how proxies are balanced over the servers of a mesh. A proxy stays with a server for as long as its
// connection lasts, so a server that comes back gets none by itself (istio/istio#11181). When other servers take
// proxies than before, each one that has more than its share ends connections, for a minute; their proxies connect
// again, to any of the servers, and keep their configuration meanwhile.
type balance struct {
	mu      sync.Mutex
	servers string // the names of those that took proxies when it was last looked
	until   time.Time
}

const (
	// balanceFor is for how long connections are ended after other servers take proxies than before.
	balanceFor = time.Minute
	// balanceParts bounds how many are ended at a time: one in so many.
	balanceParts = 4
	// balanceSlack is what a server may have beyond its share: one in so many of it.
	balanceSlack = 10
)

// excess is how many proxies a server is to send elsewhere now. Others are those of each other server, by its name.
func (b *balance) excess(connected int, others map[string]int, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if names := strings.Join(sortedKeys(others), " "); names != b.servers {
		b.servers, b.until = names, now.Add(balanceFor)
	}
	if len(others) == 0 || now.After(b.until) {
		return 0
	}
	all := connected
	for _, n := range others {
		all += n
	}
	share := (all + len(others)) / (len(others) + 1) // rounded up
	if connected <= share+share/balanceSlack {
		return 0
	}
	return min(connected-share, max(1, connected/balanceParts))
}

// Balance ends connections of proxies if this server has more than its share of them, and other servers take proxies
// since a short time, or do no more. It is called every few seconds. Others are the other servers that take proxies, by
// name, with how many they have. It returns how many connections it ends.
func (s *Server) Balance(others map[string]int, now time.Time) int {
	n := s.balance.excess(s.proxies.count(), others, now)
	if n == 0 {
		return 0
	}
	ended := s.connections.end(s.proxies.addresses(n))
	s.log.Info("proxies are sent to other servers, which have fewer", "proxies", ended, "servers", len(others)+1)
	return ended
}

// Connected returns how many proxies are connected.
func (s *Server) Connected() int { return s.proxies.count() }

// addresses are those of the streams of so many nodes, in no order.
func (p *proxies) addresses(count int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := map[*node]string{}
	for _, st := range p.streams {
		if len(of) == count {
			break
		}
		if st.node != nil {
			of[st.node] = st.address
		}
	}
	return slices.Collect(maps.Values(of))
}
