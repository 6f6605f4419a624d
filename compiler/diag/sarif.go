package diag

import (
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
)

// maxResults is how many results code scanning takes in a run; the others are
// left out, errors last.
const maxResults = 5000

// sarifLog is the part of SARIF 2.1.0 that findings need: each field has the standard's name and meaning. Text that
// comes from a spec is printable, and has no links.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool       sarifTool     `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string       `json:"id"`
	Name             string       `json:"name"`
	ShortDescription sarifMessage `json:"shortDescription"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

// sarifResult is a finding; its rule is the one of the driver's with that index.
type sarifResult struct {
	RuleID           string          `json:"ruleId"`
	RuleIndex        int             `json:"ruleIndex"`
	Level            string          `json:"level"` // error, warning
	Message          sarifMessage    `json:"message"`
	Locations        []sarifLocation `json:"locations,omitempty"`
	RelatedLocations []sarifLocation `json:"relatedLocations,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysicalLocation `json:"physicalLocation"`
}

type sarifPhysicalLocation struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

// sarifArtifact is a file; its name is a reference relative to the repository (RFC 3986), so a space is %20.
type sarifArtifact struct {
	URI string `json:"uri"`
}

// sarifRegion is where a text begins, counted from 1; the column in Unicode code points.
type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

// printSARIF writes SARIF 2.1.0, with a rule for each code that was found.
func printSARIF(w io.Writer, found List, o PrintOptions) error {
	run := sarifRun{
		Tool: sarifTool{Driver: sarifDriver{
			Name: "meshc", Version: o.Version, InformationURI: "https://github.com/meshc/meshc", Rules: []sarifRule{},
		}},
		ColumnKind: "unicodeCodePoints",
		Results:    []sarifResult{},
	}
	driver := &run.Tool.Driver
	for _, d := range mostSevere(found, maxResults) {
		is := func(r sarifRule) bool { return r.ID == string(d.Code) }
		rule := slices.IndexFunc(driver.Rules, is)
		if rule < 0 {
			rule = len(driver.Rules)
			driver.Rules = append(driver.Rules, sarifRule{
				ID: string(d.Code), Name: string(d.Code), ShortDescription: sarifMessage{Title(d.Code)},
			})
		}
		run.Results = append(run.Results, resultOf(d, rule))
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(sarifLog{
		Schema:  "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/main/sarif-2.1/schema/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

// mostSevere are so many findings at most in their order; where there are more, errors come first.
func mostSevere(found List, most int) List {
	if len(found) <= most {
		return found
	}
	kept := slices.Clone(found)
	slices.SortStableFunc(kept, func(a, b Diagnostic) int {
		switch {
		case a.Severity == b.Severity:
			return 0
		case a.Severity == Error:
			return -1
		default:
			return 1
		}
	})
	return kept[:most]
}

// resultOf is a finding by the rule with that index: it is located where it is, and related to its other positions.
func resultOf(d Diagnostic, rule int) sarifResult {
	text := withoutLinks(Printable(d.Message))
	if d.Hint != "" {
		text += "\nhint: " + withoutLinks(Printable(d.Hint))
	}
	out := sarifResult{
		RuleID: string(d.Code), RuleIndex: rule, Level: string(d.Severity), Message: sarifMessage{text},
	}
	for i, p := range d.Positions {
		location := sarifLocation{sarifPhysicalLocation{Artifact: sarifArtifact{(&url.URL{Path: p.File}).String()}}}
		if p.Line > 0 {
			location.Physical.Region = &sarifRegion{StartLine: p.Line, StartColumn: p.Column}
		}
		if i == 0 {
			out.Locations = append(out.Locations, location)
		} else {
			out.RelatedLocations = append(out.RelatedLocations, location)
		}
	}
	return out
}

// withoutLinks prevents links in a message, "[text](target)" (SARIF 2.1.0, 3.11.6). Otherwise text from a spec could
// show a reviewer a link.
func withoutLinks(text string) string { return strings.ReplaceAll(text, "](", "] (") }
