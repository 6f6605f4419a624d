package diag

import (
	"encoding/json"
	"io"
)

// jsonFinding is a finding as JSON; its fields are stable.
type jsonFinding struct {
	Code      Code           `json:"code"`
	Severity  Severity       `json:"severity"`
	Message   string         `json:"message"`
	Path      string         `json:"path,omitempty"`
	Positions []jsonPosition `json:"positions"`
	Hint      string         `json:"hint,omitempty"`
}

type jsonPosition struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// printJSON writes one array, a line for each finding.
func printJSON(w io.Writer, found List) error {
	out := []byte("[")
	for i, d := range found {
		if i > 0 {
			out = append(out, ',')
		}
		f := jsonFinding{
			Code: d.Code, Severity: d.Severity, Message: d.Message, Path: d.Path, Hint: d.Hint,
			Positions: []jsonPosition{},
		}
		for _, p := range d.Positions {
			f.Positions = append(f.Positions, jsonPosition{p.File, p.Line, p.Column})
		}
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		out = append(append(out, '\n'), data...)
	}
	if len(found) > 0 {
		out = append(out, '\n')
	}
	_, err := w.Write(append(out, "]\n"...))
	return err
}
