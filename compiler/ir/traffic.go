package ir

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/source"
)

// Duration is a length of time; its JSON form is Go's, as in "1.5s".
type Duration time.Duration

// NoLimit is the Duration of what may take any time; its form is "none".
const NoLimit Duration = -1

// Bounds reports whether the time is a bound: it is neither [NoLimit] nor 0, which says nothing.
func (d Duration) Bounds() bool { return d > 0 }

// String is the JSON form: Go's, without units that count nothing, or "none".
func (d Duration) String() string {
	if d == NoLimit {
		return "none"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Truncate drops what is less than a millisecond.
func (d Duration) Truncate() Duration { return Duration(time.Duration(d).Truncate(time.Millisecond)) }

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the JSON form.
func (d *Duration) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*d = NoLimit
		return nil
	}
	v, err := time.ParseDuration(string(text))
	if err == nil && v < 0 {
		err = fmt.Errorf("the time %q is negative", text)
	}
	*d = Duration(v)
	return err
}

// Setting is a value and the place that decided it. The zero Position means
// the schema's default.
type Setting[T any] struct {
	Value T               `json:"value"`
	Pos   source.Position `json:"pos,omitzero"`
}

// Traffic is what one place in the spec (a use, a route, a service, the mesh's
// defaults) says of the calls that it covers. A nil field says nothing.
type Traffic struct {
	Timeout        *Setting[Duration]         `json:"timeout,omitempty"`
	IdleTimeout    *Setting[Duration]         `json:"idleTimeout,omitempty"`
	Attempts       *Setting[uint32]           `json:"attempts,omitempty"`
	PerTryTimeout  *Setting[Duration]         `json:"perTryTimeout,omitempty"`
	RetryOn        *Setting[[]RetryCondition] `json:"retryOn,omitempty"`
	BackoffBase    *Setting[Duration]         `json:"backoffBase,omitempty"`
	BackoffMax     *Setting[Duration]         `json:"backoffMax,omitempty"`
	Hedge          *Setting[bool]             `json:"hedge,omitempty"`
	BudgetPercent  *Setting[float64]          `json:"budgetPercent,omitempty"`
	MinConcurrency *Setting[uint32]           `json:"minConcurrency,omitempty"`
	// Connections are never said by a route.
	Connections Connections `json:"connections,omitzero"`
}

// Policy is what is in force for a call: a Traffic with nothing left open.
type Policy struct {
	// Timeout bounds the time from the end of the request to the end of the answer; NoLimit for any.
	Timeout Setting[Duration]
	// IdleTimeout ends a request on which nothing moves; 0 for the proxy's own
	// bound, NoLimit for never.
	IdleTimeout Setting[Duration]
	// Attempts is how often a failed request is sent again after the first try.
	Attempts Setting[uint32]
	// PerTryTimeout bounds each try from the end of the request to the beginning of the answer; NoLimit for what is
	// left of Timeout.
	PerTryTimeout Setting[Duration]
	RetryOn       Setting[[]RetryCondition]
	// BackoffBase and BackoffMax bound the random wait before a retry.
	BackoffBase, BackoffMax Setting[Duration]
	// Hedge lets a try go on whose PerTryTimeout is over, beside the next.
	Hedge Setting[bool]
	// BudgetPercent is the share of active requests that may be retries, 0 to
	// 100; MinConcurrency is how many always may be in flight.
	BudgetPercent  Setting[float64]
	MinConcurrency Setting[uint32]
	Bounds         Bounds
}

// RetryCondition is what counts as failed, in the language's words.
type RetryCondition string

// answerBegins is the PerTryTimeout where no place says anything of time: it finds instances that hang, and cuts no
// stream, upload or download, whose length nobody can know.
const answerBegins = Duration(15 * time.Second)

// DefaultIdle is for how long nothing may move on a request where nothing is written, and DefaultEdgeIdle on one from
// outside, at a gateway.
const (
	DefaultIdle     = Duration(time.Hour)
	DefaultEdgeIdle = Duration(5 * time.Minute)
)

// Default is the policy of a call that no place says anything of.
func Default() Policy {
	return Policy{
		Timeout: Setting[Duration]{Value: NoLimit},
		RetryOn: Setting[[]RetryCondition]{Value: []RetryCondition{
			"connect-failure", "refused-stream",
			"reset-before-request",
		}},
		BackoffBase:    Setting[Duration]{Value: Duration(25 * time.Millisecond)},
		BudgetPercent:  Setting[float64]{Value: 20},
		MinConcurrency: Setting[uint32]{Value: 3},
		Bounds:         defaultBounds(),
	}
}

// nearest is the policy in force when the places are given from the nearest to
// the caller to the farthest. Each field is decided for itself; what no place says
// is the schema's default.
func nearest(places ...*Traffic) Policy {
	p := Default()
	for i := len(places) - 1; i >= 0; i-- {
		t := places[i]
		decide(&p.Timeout, t.Timeout)
		decide(&p.IdleTimeout, t.IdleTimeout)
		decide(&p.Attempts, t.Attempts)
		decide(&p.PerTryTimeout, t.PerTryTimeout)
		decide(&p.RetryOn, t.RetryOn)
		decide(&p.BackoffBase, t.BackoffBase)
		decide(&p.BackoffMax, t.BackoffMax)
		decide(&p.Hedge, t.Hedge)
		decide(&p.BudgetPercent, t.BudgetPercent)
		decide(&p.MinConcurrency, t.MinConcurrency)
		p.Bounds.decide(&t.Connections)
	}
	p.Bounds.connectBefore(p.Timeout.Value)
	if p.PerTryTimeout.Value == 0 {
		p.PerTryTimeout.Value = NoLimit
		if p.Timeout == Default().Timeout {
			p.PerTryTimeout.Value = answerBegins
		}
	}
	if p.BackoffMax.Value == 0 {
		p.BackoffMax.Value = 10 * p.BackoffBase.Value
	}
	return p
}

func decide[T any](field *Setting[T], written *Setting[T]) {
	if written != nil {
		*field = *written
	}
}
