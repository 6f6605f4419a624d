package diag

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// printGitHub writes GitHub's workflow commands, which show findings beside the
// lines of a pull request:
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func printGitHub(w io.Writer, found List) error {
	var b bytes.Buffer
	for _, d := range found {
		var properties []string
		if len(d.Positions) > 0 {
			p := d.Positions[0]
			properties = append(properties, "file="+property(Printable(p.File)))
			if p.Line > 0 {
				properties = append(properties, fmt.Sprintf("line=%d", p.Line), fmt.Sprintf("col=%d", p.Column))
			}
		}
		properties = append(properties, "title="+property(string(d.Code)))
		text := Printable(d.Message)
		if d.Hint != "" {
			text += "\nhint: " + Printable(d.Hint)
		}
		for _, p := range d.Positions[min(1, len(d.Positions)):] {
			text += "\nalso " + Printable(p.String())
		}
		fmt.Fprintf(&b, "::%s %s::%s\n", d.Severity, strings.Join(properties, ","), data(text))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// data and property escape what would end a command's text or property.
var (
	data     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace
)
