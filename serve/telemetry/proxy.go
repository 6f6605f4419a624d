package telemetry

import (
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of what one proxy reports: a proxy with 20 edges sends some 20 kB a second.
const (
	bytesPerSecond = 2 << 20
	bytesAtOnce    = 8 << 20
	// remembered is how many of its last messages a proxy's next one is compared with.
	remembered = 16
)

// ErrTooMuch says that a proxy reports more than it may.
var ErrTooMuch = errors.New("the proxy reports more than 2 MiB a second")

// Proxy is a proxy that reports: one on whichever stream it does. It is not safe for concurrent use.
type Proxy struct {
	store *Store
	// interval is how long a report covers at most, and what the first one covers.
	interval time.Duration
	budget   *rate.Limiter
	seed     maphash.Seed
	last     []uint64 // digests of messages
	// at is when the last report was made and since when it told, by the proxy's clock.
	at, since int64
}

// Proxy returns a proxy that reports at this interval.
func (s *Store) Proxy(interval time.Duration) *Proxy {
	return &Proxy{
		store: s, interval: interval, budget: rate.NewLimiter(bytesPerSecond, bytesAtOnce), seed: maphash.MakeSeed(),
	}
}

// Report takes a message, a StreamMetricsMessage, that came at that time. One that is the same as one of the last few
// is taken once: a report has the time when it was made in each of its metrics.
func (p *Proxy) Report(r *Reporter, message []byte, now time.Time) error {
	if !p.budget.AllowN(now, len(message)) {
		return ErrTooMuch
	}
	at, digest, err := p.about(message)
	if err != nil || at == 0 || slices.Contains(p.last, digest) {
		return err
	}
	p.last = append(p.last, digest)
	p.last = p.last[max(0, len(p.last)-remembered):]
	if at != p.at { // else it is a further part of the same report
		p.since, p.at = p.at, at
	}
	most := 3 * p.interval.Milliseconds()
	length := p.at - p.since
	if length <= 0 || length > most { // its first report, or its clock was set
		length = p.interval.Milliseconds()
	}
	until := now.UnixMilli()
	return p.store.add(r, message, span{until - length, until})
}

// about is when a report was made, in milliseconds since 1970 by the proxy's clock, and a digest of its metrics. The
// time is 0 where there are none.
func (p *Proxy) about(message []byte) (at int64, digest uint64, err error) {
	var h maphash.Hash
	h.SetSeed(p.seed)
	err = fields(message, func(n protowire.Number, data []byte, _ uint64) error {
		if n != 2 {
			return nil
		}
		_, _ = h.Write(data) // it returns no error
		if at != 0 {
			return nil
		}
		return fields(data, func(n protowire.Number, data []byte, _ uint64) error {
			if n != 4 {
				return nil
			}
			return fields(data, func(n protowire.Number, _ []byte, value uint64) error {
				if n == 6 {
					at = int64(value)
				}
				return nil
			})
		})
	})
	return at, h.Sum64(), err
}
