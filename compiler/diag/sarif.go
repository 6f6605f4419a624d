package diag

import (
	"io"
	"slices"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// maxResults is how many results code scanning takes in a run; the others are
// left out, errors last.
const maxResults = 5000

// printSARIF writes SARIF 2.1.0, with a rule for each code that was found.
func printSARIF(w io.Writer, found List, o PrintOptions) error {
	r := report.NewV210Report()
	run := sarif.NewRunWithInformationURI("meshc", "https://github.com/meshc/meshc")
	if o.Version != "" {
		run.Tool.Driver.WithVersion(o.Version)
	}
	columns := "unicodeCodePoints"
	run.ColumnKind = &columns
	kept := slices.Clone(found)
	if len(kept) > maxResults {
		slices.SortStableFunc(kept, func(a, b Diagnostic) int {
			if a.Severity == b.Severity {
				return 0
			}
			if a.Severity == Error {
				return -1
			}
			return 1
		})
		kept = kept[:maxResults]
	}
	for _, d := range kept {
		rule := run.AddRule(string(d.Code)).WithName(string(d.Code))
		rule.WithShortDescription(sarif.NewMultiformatMessageString().WithText(Title(d.Code)))
		text := withoutLinks(Printable(d.Message))
		if d.Hint != "" {
			text += "\nhint: " + withoutLinks(Printable(d.Hint))
		}
		result := sarif.NewRuleResult(string(d.Code)).WithLevel(string(d.Severity)).
			WithMessage(sarif.NewTextMessage(text))
		for i, p := range d.Positions {
			physical := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewSimpleArtifactLocation(p.File))
			if p.Line > 0 {
				physical.WithRegion(sarif.NewRegion().WithStartLine(p.Line).WithStartColumn(p.Column))
			}
			if i == 0 {
				result.AddLocation(sarif.NewLocation().WithPhysicalLocation(physical))
			} else {
				result.WithRelatedLocations(append(result.RelatedLocations, sarif.NewLocation().
					WithPhysicalLocation(physical)))
			}
		}
		run.AddResult(result)
	}
	r.AddRun(run)
	if err := r.PrettyWrite(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// withoutLinks prevents links in a message, "[text](target)" (SARIF 2.1.0, 3.11.6). Otherwise text from a spec could
// show a reviewer a link.
func withoutLinks(text string) string { return strings.ReplaceAll(text, "](", "] (") }
