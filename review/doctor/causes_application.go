package doctor

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// slowApplications finds slow-application: the median duration at the callee's proxy, or a timeout that ends requests
// and has not changed, is a multiple of what requests took, and no call that the callee makes itself is slow or fails.
func slowApplications(p *patient) (out []candidate) {
	all := p.byCallee(slow, timedOut)
	for _, callee := range callees(all) {
		list := all[callee]
		if !slices.ContainsFunc(list, p.slowed) || p.suffers(callee) {
			continue
		}
		out = append(out, candidate{explains: list, sure: byNumbers, Verdict: Verdict{
			Cause: SlowApplication, Subject: callee.String(), Party: ByApplication,
			Text: fmt.Sprintf("not the mesh: %s answers later than before, and calls nobody who does", callee.Name),
		}, next: "meshc top --by callee"})
	}
	return out
}

// slowed reports whether requests of a symptom take a multiple of what they took.
func (p *patient) slowed(s symptom) bool {
	if s.kind != timedOut {
		return s.kind == slow
	}
	limit := p.timeoutOf(s.edge).Value
	usual, known := s.edge.usual()
	_, changed := p.timeoutChanged(s.edge, limit)
	return limit.Bounds() && known && !changed && limit.Milliseconds() >= multiple*usual
}

// failingApplications finds application-errors: an application answers 5xx, breaks off or is not there, and no call
// that it makes itself fails or is denied.
func failingApplications(p *patient) (out []candidate) {
	all := p.byCallee(answered, gone, broken)
	for _, callee := range callees(all) {
		if p.suffers(callee) || callee.Kind == ir.KindGateway {
			continue
		}
		what := "answers 5xx itself"
		if slices.ContainsFunc(all[callee], func(s symptom) bool { return s.kind == gone }) {
			what = "breaks off requests, or is not there"
		}
		out = append(out, candidate{explains: all[callee], sure: byElimination, Verdict: Verdict{
			Cause: ApplicationErrors, Subject: callee.String(), Party: ByApplication,
			Text: fmt.Sprintf("not the mesh: the application of %s %s; its proxy and its rules do what the spec says",
				callee.Name, what),
		}, next: "meshc top --by failure"})
	}
	return out
}

// wrongRequests finds client-errors: an application answers 4xx to one caller, or a gateway has no route for what it is
// asked.
func wrongRequests(p *patient) (out []candidate) {
	for _, s := range p.having(wrong, unrouted, unauthorized) {
		if s.edge.callee.Name != "" && p.suffers(s.edge.callee, denied, unauthorized, wrong) {
			continue
		}
		out = append(out, wrongRequest(s))
	}
	return out
}

// wrongRequest is client-errors, of one caller or of clients of a gateway.
func wrongRequest(s symptom) candidate {
	subject, who := edgeSubject(s.edge), s.edge.caller.Name
	if s.edge.caller.Kind == ir.KindGateway {
		subject, who = s.edge.caller.String(), "a client of "+s.edge.caller.String()
	}
	return candidate{explains: []symptom{s}, sure: byElimination, Verdict: Verdict{
		Cause: ClientErrors, Subject: subject, Party: ByClient,
		Text: fmt.Sprintf("not the mesh: %s asks for what is answered 4xx; other callers are served", who),
	}, next: "meshc top --by failure"}
}
