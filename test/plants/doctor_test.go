//go:build e2e

package plants

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// verdict is what somebody says the cause is.
type verdict struct {
	Cause    string `json:"cause"`
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	Position string `json:"position"`
	Party    string `json:"party"`
}

// doctorTime bounds how long a doctor may take until it is given up.
const doctorTime = time.Minute

// doctor runs meshc doctor beside the spec. One that cannot tell says "", or why.
func (f *field) doctor(t *testing.T) (v verdict, took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), doctorTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, meshc, "doctor", "-o", "json", "--server", f.ServerAdmin())
	cmd.Dir = f.spec
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	begun := time.Now()
	err := cmd.Run()
	took = time.Since(begun)
	var answer struct {
		Verdict verdict `json:"verdict"`
	}
	if wrong := json.Unmarshal(out.Bytes(), &answer); wrong != nil {
		first, _, _ := strings.Cut(said.String(), "\n")
		return verdict{Text: fmt.Sprintf("%v: %s", err, first)}, took
	}
	return answer.Verdict, took
}

// score is what of a verdict is right.
type score struct{ cause, subject, position bool }

func (s score) all() bool { return s.cause && s.subject && s.position }

// judge compares a verdict with what is expected of a plant.
func (f *field) judge(t *testing.T, name, of string, v verdict) score {
	t.Helper()
	want := expected[name]
	s := score{cause: v.Cause == name, position: len(want.lines) == 0}
	for _, subject := range want.subjects {
		s.subject = s.subject || v.Subject == targeted(subject, of)
	}
	for _, text := range want.lines {
		line := f.line(t, targeted(want.file, of), targeted(text, of))
		s.position = s.position || v.Position == line || strings.HasPrefix(v.Position, line+":")
	}
	return s
}

// row is what came of one plant.
type row struct {
	plant, of string
	seed      uint64
	symptom   time.Duration // from the plant to its symptom in the numbers
	took      time.Duration // from there to the verdict
	said      verdict
	right     score
	placed    bool // there is a line of the spec to be named
	// checklist and deviation are what the baselines say.
	checklist, deviation verdict
}

// table is the summary that is printed.
func table(rows []row) string {
	var out strings.Builder
	const format = "%-28s %-5v %-8s %-8s %-6s %-8s %-9s %-24s %-20s %s\n"
	fmt.Fprintf(&out, format, "PLANT", "SEED", "SYMPTOM", "VERDICT", "CAUSE", "SUBJECT", "POSITION", "CHECKLIST",
		"DEVIATION", "DOCTOR")
	for _, r := range rows {
		position := ""
		if r.placed {
			position = mark(r.right.position)
		}
		said := strings.Join([]string{r.said.Cause, r.said.Subject, r.said.Position, r.said.Text}, " ")
		fmt.Fprintf(&out, format, r.plant, r.seed, r.symptom.Round(100*time.Millisecond),
			r.took.Round(10*time.Millisecond), mark(r.right.cause), mark(r.right.subject), position, r.checklist.Cause,
			r.deviation.Cause, strings.TrimSpace(said))
	}
	all := func(row) bool { return true }
	fmt.Fprintf(&out, "\ndoctor: cause %s, subject %s, position %s, within %v %s\n",
		share(rows, all, func(r row) bool { return r.right.cause }),
		share(rows, all, func(r row) bool { return r.right.subject }),
		share(rows, func(r row) bool { return r.placed }, func(r row) bool { return r.right.position }),
		verdictTime, share(rows, all, func(r row) bool { return r.took <= verdictTime }))
	fmt.Fprintf(&out, "checklist: cause %s; largest deviation: cause %s\n",
		share(rows, all, func(r row) bool { return r.checklist.Cause == r.plant }),
		share(rows, all, func(r row) bool { return r.deviation.Cause == r.plant }))
	return out.String()
}

func mark(right bool) string {
	if right {
		return "yes"
	}
	return "-"
}

// share says of how many of the rows something holds.
func share(rows []row, of, holds func(row) bool) string {
	n, all := 0, 0
	for _, r := range rows {
		if !of(r) {
			continue
		}
		all++
		if holds(r) {
			n++
		}
	}
	return fmt.Sprintf("%d of %d", n, all)
}
