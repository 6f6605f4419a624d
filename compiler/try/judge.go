package try

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// Verdict is whether a test's request ends as is expected.
type Verdict string

// The verdicts.
const (
	// Passes is for a request all of whose outcomes are as expected, and Fails for one that has none such.
	Passes Verdict = "passes"
	Fails  Verdict = "fails"
	// Undecided is for all others: it depends on more than the mesh.
	Undecided Verdict = "undecided"
)

// Judgement is what following a test's request shows.
type Judgement struct {
	Verdict Verdict
	// Trial is the request's most likely way.
	Trial *Trial
	// Outcomes are all ends that it may have.
	Outcomes []Outcome
	// DependsOn is what decides between outcomes that are expected and others; set when the verdict is Undecided.
	DependsOn []Condition
}

// Judge follows the request of a test. An error says that it cannot be sent.
func Judge(m *ir.Mesh, t *ir.Test) (*Judgement, error) {
	request := OfTest(t)
	trial, err := Try(m, request)
	if err != nil {
		return nil, err
	}
	outcomes, whole, err := Outcomes(m, request)
	if err != nil {
		return nil, err
	}
	j := &Judgement{Verdict: Undecided, Trial: trial, Outcomes: outcomes}
	judged := slices.DeleteFunc(slices.Clone(outcomes), func(o Outcome) bool { return o.LeftOut(&t.Expect) })
	good, bad := verdicts(judged, &t.Expect)
	switch {
	case good && !bad && whole:
		j.Verdict = Passes
	case bad && !good && whole:
		j.Verdict = Fails
	default:
		j.DependsOn = decisive(judged, &t.Expect, 0)
		if len(j.DependsOn) == 0 {
			on := "more than can be followed"
			if len(trial.Undecided) > 0 {
				on = strings.Join(trial.Undecided, ", and on ")
			}
			j.DependsOn = []Condition{{Kind: OnPath, On: on}}
		}
	}
	return j, nil
}

// LeftOut reports whether an expectation is not about an outcome: the request is refused there for what it names in
// unless.
func (o *Outcome) LeftOut(e *ir.Expectation) bool {
	return slices.ContainsFunc(o.When,
		func(c Condition) bool { return c.Refuses && slices.Contains(e.Unless, string(c.Kind)) })
}

// Meets reports whether an outcome is as expected. What is refused for load or by chance is not as anybody expects: it
// neither is let in, nor shows that others are not.
func (o *Outcome) Meets(e *ir.Expectation) bool {
	switch {
	case o.Transient() || o.Allowed() != e.Allowed:
		return false
	case e.Service == "" && e.Version == "":
		return true
	}
	r := o.Reach
	return r != nil && (e.Service == "" || r.Service == e.Service) && (e.Version == "" || r.Version == e.Version)
}

// verdicts says whether some outcomes are as expected, and whether some are not.
func verdicts(list []Outcome, e *ir.Expectation) (good, bad bool) {
	for i := range list {
		if list[i].Meets(e) {
			good = true
		} else {
			bad = true
		}
	}
	return good, bad
}

// decisive are the conditions that make a difference: with one answer to them other verdicts are possible than with
// another. The outcomes are those of a walk, alike in their first conditions as many as depth.
func decisive(list []Outcome, e *ir.Expectation, depth int) []Condition {
	if len(list) < 2 || len(list[0].When) <= depth {
		return nil
	}
	var out, below []Condition
	wasGood, wasBad := false, false
	for begin := 0; begin < len(list); {
		end := begin + 1
		for end < len(list) && list[end].When[depth].Is == list[begin].When[depth].Is {
			end++
		}
		good, bad := verdicts(list[begin:end], e)
		if begin == 0 {
			wasGood, wasBad = good, bad
		} else if good != wasGood || bad != wasBad {
			out = list[0].When[depth : depth+1]
		}
		below = append(below, decisive(list[begin:end], e, depth+1)...)
		begin = end
	}
	out = slices.Clone(out)
	for _, c := range below {
		if !slices.ContainsFunc(out, func(known Condition) bool { return known.On == c.On }) {
			out = append(out, c)
		}
	}
	return out
}

// On is what conditions are about, in words, each once.
func On(list []Condition) string {
	var out []string
	for _, c := range list {
		if !slices.Contains(out, c.On) {
			out = append(out, c.On)
		}
	}
	return strings.Join(out, ", and on ")
}
