package enroll

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxHosts bounds how many hosts are remembered at once.
const maxHosts = 10_000

// limits bound how often each host may ask.
type limits struct {
	perSecond int

	mu    sync.Mutex
	hosts map[string]*rate.Limiter
}

func newLimits(perSecond int) *limits {
	return &limits{perSecond: perSecond, hosts: map[string]*rate.Limiter{}}
}

func (l *limits) allow(host string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.hosts[host]
	if known == nil {
		if len(l.hosts) >= maxHosts {
			l.forget(now)
		}
		known = rate.NewLimiter(rate.Limit(l.perSecond), 2*l.perSecond)
		l.hosts[host] = known
	}
	return known.AllowN(now, 1)
}

// forget drops the hosts that have not asked for a while.
func (l *limits) forget(now time.Time) {
	for host, known := range l.hosts {
		if known.TokensAt(now) >= float64(known.Burst()) {
			delete(l.hosts, host)
		}
	}
}
