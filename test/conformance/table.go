package conformance

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Record is what became of one request of the suite.
type Record struct {
	Test, Request, Why string
	Right              bool
	// Findings are those of import about the test's own manifests, where the answer is wrong.
	Findings []string
}

// Share is how many of the requests at gateways, or in the mesh, are answered as the suite wants.
type Share struct{ Right, All int }

// Percent of them that are right.
func (s Share) Percent() float64 { return 100 * float64(s.Right) / float64(max(s.All, 1)) }

// SharesOf counts records.
func SharesOf(records []Record) (gateways, mesh Share) {
	for _, r := range records {
		s := &gateways
		if inMesh(r.Test) {
			s = &mesh
		}
		s.All++
		if r.Right {
			s.Right++
		}
	}
	return gateways, mesh
}

func inMesh(test string) bool { return strings.HasPrefix(test, "Mesh") }

// Table is the records as a page of the documentation.
func Table(version string, records []Record) string {
	var b strings.Builder
	gateways, mesh := SharesOf(records)
	fmt.Fprintf(&b, "# The Gateway API's conformance suite\n\nThis page is written by `make conformance`.\n\n"+
		"The test takes the manifests of the suite, version %s, unchanged; `meshc import gateway-api` makes a mesh of them, which is\n"+
		"compiled, and each request of the suite's own tables is followed through it, as `meshc try` does. Tests that look at the\n"+
		"status of objects alone, or open connections of TCP, TLS or UDP, have no requests and are left out. What is wrong has a\n"+
		"finding of import that says why.\n\n"+
		"The suite's tests of the mesh send from a pod of the Service that they call. In meshc no service calls itself (MC1204), which\n"+
		"import reports: here a member beside it sends them.\n\n"+
		"| | right | of | |\n|---|---|---|---|\n| at gateways | %d | %d | %.1f%% |\n| in the mesh | %d | %d | %.1f%% |\n\n",
		version, gateways.Right, gateways.All, gateways.Percent(), mesh.Right, mesh.All, mesh.Percent())
	byTest := map[string][]Record{}
	var tests []string
	for _, r := range records {
		if byTest[r.Test] == nil {
			tests = append(tests, r.Test)
		}
		byTest[r.Test] = append(byTest[r.Test], r)
	}
	slices.SortFunc(tests, func(a, b string) int {
		return cmp.Or(strings.Compare(fmt.Sprint(inMesh(a)), fmt.Sprint(inMesh(b))), strings.Compare(a, b))
	})
	b.WriteString("| test | right | request that is wrong | answer | finding |\n|---|---|---|---|---|\n")
	for _, test := range tests {
		var wrong []Record
		for _, r := range byTest[test] {
			if !r.Right {
				wrong = append(wrong, r)
			}
		}
		all := len(byTest[test])
		if len(wrong) == 0 {
			fmt.Fprintf(&b, "| %s | %d of %d | | | |\n", test, all, all)
			continue
		}
		slices.SortFunc(wrong, func(a, b Record) int { return strings.Compare(a.Request, b.Request) })
		for i, r := range wrong {
			name, share := test, fmt.Sprintf("%d of %d", all-len(wrong), all)
			if i > 0 {
				name, share = "", ""
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, share, cell(r.Request), cell(answered(r.Why)),
				cell(strings.Join(r.Findings, "; ")))
		}
	}
	return b.String()
}

var captured = regexp.MustCompile(` CRes: .*|, actual headers: .*`)

// aHeader is what the suite says of the first header that is not as expected, in the order of a map.
var aHeader = regexp.MustCompile(`^expected \S+ header to be set.*`)

// answered is why an answer is wrong, without what differs between runs.
func answered(why string) string {
	first, _, _ := strings.Cut(why, "\n")
	return aHeader.ReplaceAllString(captured.ReplaceAllString(first, ""), "expected other headers")
}

// cell is text in a table of Markdown.
func cell(text string) string {
	const longest = 300
	text = strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(strings.ReplaceAll(text, "_", " "))
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return text
}
