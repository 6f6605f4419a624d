package try

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// Outcome is one of the ends that a request may have.
type Outcome struct {
	// When is what leads there, of all that the mesh alone does not decide, in the order in which the request meets it;
	// empty for the only outcome.
	When []Condition `json:"when,omitempty"`
	// Exactly one of Answer and Reach is set.
	Answer *Answer `json:"answer,omitempty"`
	Reach  *Reach  `json:"reach,omitempty"`
}

// Condition is something that an outcome depends on, and how it is there.
type Condition struct {
	Kind ConditionKind `json:"kind"`
	On   string        `json:"on"`
	Is   string        `json:"is"`
	// Key is the same for conditions of two meshes, or of two requests, that ask for the same.
	Key string `json:"-"`
	// Refuses is set where the request is refused for it.
	Refuses bool `json:"refuses,omitempty"`
	// Chance that it is so, more than 0 and less than 1; 0 where chance does not decide.
	Chance float64 `json:"chance,omitempty"`
}

// ConditionKind is what sort of thing an outcome depends on.
type ConditionKind string

// The kinds of condition. The first four are what [ir.Expectation] may leave out.
const (
	OnRateLimit     ConditionKind = "rateLimit"     // how many other requests there are
	OnFault         ConditionKind = "fault"         // chance, by a fault
	OnAuthorization ConditionKind = "authorization" // what an external authorization service answers
	OnCertificate   ConditionKind = "certificate"   // whether a client outside shows a certificate
	OnClient        ConditionKind = "client"        // whose the key or the password of a client outside is
	OnSplit         ConditionKind = "split"         // chance, by the weights of destinations
	OnHeader        ConditionKind = "header"        // a header that is written on the way
	OnQuery         ConditionKind = "query"         // a parameter of a query that is not known
	OnToken         ConditionKind = "token"         // a token whose content is not known
	OnAddress       ConditionKind = "address"       // where the client is
	OnDestination   ConditionKind = "destination"   // whose an address is
	OnBody          ConditionKind = "body"          // the size of the body
	OnPath          ConditionKind = "path"          // a path that is not read alike by all
)

// maxBranches bounds the ways that are followed of one request.
const maxBranches = 512

// Way is a request on one of its ways: what leads there, in the order in which the request meets it, and what
// happens. Weights do not split ways.
type Way struct {
	When []Condition
	*Trial
}

// Ways are all that a request may go in a mesh: it is followed once for each combination of answers to what the mesh
// does not decide. Whole is false when there may be others: there were too many, or nobody can list them. An error says
// that there is no such request or sender.
func Ways(m *ir.Mesh, request Request) (list []Way, whole bool, err error) {
	var path []int
	for range maxBranches {
		b := &branch{path: path, known: map[string]string{}}
		t, err := follow(m, request, b)
		if err != nil {
			return nil, false, err
		}
		list = append(list, Way{b.conditions, t})
		if b.open {
			return list, false, nil
		}
		if path = b.next(); path == nil {
			return list, true, nil
		}
	}
	return list, false, nil
}

// Outcomes are the ends of all [Ways] of a request.
func Outcomes(m *ir.Mesh, request Request) (list []Outcome, whole bool, err error) {
	ways, whole, err := Ways(m, request)
	for i := range ways {
		list = append(list, ways[i].outcomes(ways[i].When)...)
	}
	return list, whole, err
}

// outcomes are the ends of one branch: several, where weights split it.
func (t *Trial) outcomes(when []Condition) []Outcome {
	if t.Answer != nil {
		return []Outcome{{When: when, Answer: t.Answer}}
	}
	var out []Outcome
	for i := range t.Reaches {
		reach, o := &t.Reaches[i], Outcome{When: when}
		if len(t.Reaches) > 1 {
			is := fmt.Sprintf("%.4g%% go to %s", reach.Percent, reach.target())
			o.When = append(slices.Clone(when), Condition{
				Kind: OnSplit, On: t.splitBy(), Is: is,
				Chance: reach.Percent / 100,
			})
		}
		o.Reach = reach
		out = append(out, o)
	}
	return out
}

func (t *Trial) splitBy() string {
	if n := len(t.Routes); n > 0 && t.Routes[n-1].Name != "" {
		return fmt.Sprintf("chance: the weights of the route %q", t.Routes[n-1].Name)
	}
	return "chance: the weights of its route"
}

// Allowed reports whether the request is let in.
func (o *Outcome) Allowed() bool {
	if o.Answer != nil {
		return o.Answer.allows()
	}
	return o.Reach.Refused == 0
}

// Chance is the share of requests that have this outcome, of those for which it is alike what else it depends on.
func (o *Outcome) Chance() float64 {
	p := 1.0
	for _, c := range o.When {
		if c.Chance > 0 {
			p *= c.Chance
		}
	}
	return p
}

// Transient reports whether the request is refused only for load or by chance: another one like it is let in.
func (o *Outcome) Transient() bool {
	if o.Answer != nil {
		return o.Answer.Transient
	}
	return o.Reach.Transient
}

// Text is what happens to the request there, in a few words.
func (o *Outcome) Text() string {
	t := Trial{Answer: o.Answer}
	if o.Reach != nil {
		alone := *o.Reach
		alone.Percent = 100 // the condition says it
		t.Reaches = []Reach{alone}
	}
	return t.Outcome()
}

// branch is one way through what a mesh does not decide: to each question one of its alternatives.
type branch struct {
	// path are the alternatives that are taken first, by their numbers; after them it is the first of each.
	path []int
	// known is what was said to each question, by its key; each is asked once.
	known      map[string]string
	conditions []Condition
	chosen, of []int
	// open is set when there are more alternatives than can be listed.
	open bool
}

// next is the path of the branch after this one, in the order of a walk through all of them; nil after the last.
func (b *branch) next() []int {
	for i := len(b.chosen) - 1; i >= 0; i-- {
		if b.chosen[i]+1 < b.of[i] {
			return append(slices.Clone(b.chosen[:i]), b.chosen[i]+1)
		}
	}
	return nil
}

// question is something that the mesh does not decide.
type question struct {
	kind ConditionKind
	// key is the same for questions that have the same answer; on is what is asked, in words.
	key, on string
	// alternatives are all answers, that by which a request is let in first.
	alternatives []string
	// list makes the alternatives, where that is work; whole is false when there are more.
	list func() (alternatives []string, whole bool)
	// refuses is set when the request is refused by all alternatives but the first.
	refuses bool
	// share of requests, above 0 and below 1, that get the first of two alternatives, where chance decides; 0 where
	// not.
	share float64
	// holds reports whether what asks for it is content with an answer.
	holds func(alternative string) bool
}

// chance is that of an alternative, by its number.
func (q *question) chance(n int) float64 {
	if n > 0 && q.share > 0 {
		return 1 - q.share
	}
	return q.share
}

// choose is the answer to a question in the branch that is followed; without one the first.
func (r *run) choose(q *question) string {
	if r.branch == nil {
		r.undecided("%s", q.on)
		return q.alternatives[0]
	}
	b := r.branch
	if is, known := b.known[q.key]; known {
		return is
	}
	if q.list != nil {
		whole := false
		q.alternatives, whole = q.list()
		b.open = b.open || !whole
	}
	n := 0
	if len(b.chosen) < len(b.path) {
		n = b.path[len(b.chosen)]
	}
	is := q.alternatives[n]
	b.known[q.key] = is
	b.chosen, b.of = append(b.chosen, n), append(b.of, len(q.alternatives))
	b.conditions = append(b.conditions, Condition{q.kind, q.on, is, q.key, q.refuses && n > 0, q.chance(n)})
	return is
}

// passes asks for something that refuses requests, and reports whether it lets this one pass.
func (r *run) passes(kind ConditionKind, passes, refuses, format string, args ...any) bool {
	on := fmt.Sprintf(format, args...)
	q := &question{kind: kind, key: on, on: on, alternatives: []string{passes, refuses}, refuses: true}
	return r.choose(q) == passes
}

// settle resolves what a rule asks for besides what is known: no, when it is not content with the answer to one of
// them.
func (r *run) settle(questions []question) bool {
	for i := range questions {
		if q := &questions[i]; !q.holds(r.choose(q)) {
			return false
		}
	}
	return true
}
