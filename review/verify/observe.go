package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Requests of a test are sent until each outcome was seen that chance decides: at most observeTries of them, for
// observeTime. One that was refused for load is none of them, and the next one waits for observePause.
const (
	observeTries = 3000
	observeTime  = 10 * time.Second
	observePause = 100 * time.Millisecond
)

// observation is what real Envoys did with the request of a test.
type observation struct {
	test *ir.Test
	j    *try.Judgement
	// seen are the outcomes that were, by their numbers, and answers what came back, in words, with how often.
	seen    map[int]bool
	answers []string
	count   map[string]int
	// met is set when some was as expected, and refuted when some was not.
	met, refuted bool
}

// run sends the request of a test, and compares what happens to it with what is expected. One whose outcome depends on
// chance is sent until each outcome was seen.
func (s *sender) run(ctx context.Context, t *ir.Test, j *try.Judgement) *Run {
	began := time.Now()
	o := &observation{test: t, j: j, seen: map[int]bool{}, count: map[string]int{}}
	r := &Run{}
	for n, limited := 1, 0; ; n++ {
		a, err := s.send(ctx, t)
		if errors.Is(err, errClosed) {
			a, err = &answer{}, nil
		}
		if err != nil { // that nothing came of it proves nothing
			r.Outcome, r.Failure = "was not answered", err.Error()
			break
		}
		if strange := o.add(a); strange {
			r.Outcome, r.Failure = a.text(), "followed through the mesh it has no such outcome"
			if !a.meets(&t.Expect) {
				r.Failure = expected(&t.Expect)
			}
			break
		}
		if a.status == http.StatusTooManyRequests {
			limited++
		}
		if len(o.missing()) == 0 || n-limited >= o.tries() || time.Since(began) > observeTime ||
			o.refuted && j.Verdict != try.Undecided {
			o.conclude(r, n)
			break
		}
		if a.status == http.StatusTooManyRequests {
			select {
			case <-ctx.Done():
			case <-time.After(observePause):
			}
		}
	}
	r.Time = time.Since(began)
	return r
}

// add takes an answer in; true when it is none of the outcomes that the request may have.
func (o *observation) add(a *answer) (strange bool) {
	text := a.text()
	if o.count[text]++; o.count[text] == 1 {
		o.answers = append(o.answers, text)
	}
	which := o.outcomes(a)
	leftOut := len(which) > 0
	for _, i := range which {
		o.seen[i] = true
		leftOut = leftOut && o.j.Outcomes[i].LeftOut(&o.test.Expect)
	}
	transient := len(which) > 0 && !slices.ContainsFunc(which, func(i int) bool { return !o.j.Outcomes[i].Transient() })
	switch {
	case leftOut:
	case a.meets(&o.test.Expect) && !transient:
		o.met = true
	default:
		o.refuted = true
	}
	return len(which) == 0
}

// outcomes are those that an answer may be one of. A proxy's refusal is another one than what was followed where the
// sender has none of its own that refuses first, so its status is only looked at where it tells outcomes apart.
func (o *observation) outcomes(a *answer) (which []int) {
	which, others := matching(o.j.Outcomes, a)
	if len(which) == 0 {
		return others
	}
	return which
}

// matching are the outcomes that an answer may be one of, and the others of which it may be one if some other proxy
// refuses than was followed.
func matching(outcomes []try.Outcome, a *answer) (which, others []int) {
	for i := range outcomes {
		e := &outcomes[i]
		switch {
		case e.Reach != nil && e.Reach.Refused == 0:
			if a.service == cmp.Or(e.Reach.Service, e.Reach.External) && (e.Reach.Version == "" ||
				a.version == e.Reach.Version) {
				which = append(which, i)
			}
		case a.service != "":
		case e.Answer != nil && e.Allowed():
			if a.status == e.Answer.Status && a.allowed() {
				which = append(which, i)
			}
		case a.allowed():
		case e.Answer != nil && e.Answer.Status == a.status || e.Reach != nil && e.Reach.Refused == a.status:
			which = append(which, i)
		case !e.Transient() || a.grpc != "":
			others = append(others, i)
		}
	}
	return which, others
}

// missing are the outcomes that were not seen, of those that come up if the request is sent often enough: what else
// they depend on does not refuse it.
func (o *observation) missing() (list []*try.Outcome) {
	for i := range o.j.Outcomes {
		e := &o.j.Outcomes[i]
		byChance := !slices.ContainsFunc(e.When, func(c try.Condition) bool {
			switch c.Kind {
			case try.OnSplit, try.OnFault:
				return false
			case try.OnRateLimit, try.OnAuthorization, try.OnCertificate:
				return c.Refuses
			}
			return true
		})
		if byChance && !o.seen[i] {
			list = append(list, e)
		}
	}
	return list
}

// tries is how many requests show each outcome but once in a million times.
func (o *observation) tries() int {
	n := 1
	for i := range o.j.Outcomes {
		if p := o.j.Outcomes[i].Chance(); p > 0 && p < 1 {
			n = max(n, int(math.Ceil(14/p)))
		}
	}
	return min(n, observeTries)
}

// conclude says what n requests showed.
func (o *observation) conclude(r *Run, n int) {
	texts := slices.Clone(o.answers)
	if n > 1 {
		for i, text := range texts {
			texts[i] = fmt.Sprintf("%s (%d of %d times)", text, o.count[text], n)
		}
	}
	r.Outcome = strings.Join(texts, "; ")
	missing := o.missing()
	switch {
	case o.j.Verdict == try.Undecided:
		r.Undecided = try.On(o.j.DependsOn)
	case o.refuted || o.j.Verdict == try.Fails:
		r.Failure = expected(&o.test.Expect)
	case len(missing) > 0:
		r.Undecided = fmt.Sprintf("%d requests, of which none %s", n, missing[0].Text())
	case !o.met:
		r.Undecided = "what it leaves out by unless: it was always refused for that"
	}
}
