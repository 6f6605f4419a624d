package graph

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

//go:embed page.js
var script string

//go:embed page.css
var style string

var page = template.Must(template.New("page").Parse(pageText))

// HTML writes the graph as one page that contains everything it needs and loads nothing.
func (g *Graph) HTML(w io.Writer) error {
	data, err := json.Marshal(g) // with <, > and & escaped, so that nothing in it ends the element
	if err != nil {
		return err
	}
	return page.Execute(w, struct {
		Mesh                  string
		Data, Script          template.JS
		Style                 template.CSS
		ScriptHash, StyleHash string
	}{
		g.Mesh, template.JS(data), template.JS(script), template.CSS(style), digest(script),
		digest(style),
	}) // #nosec G203 -- escaped above, and our own
}

// digest names an element for a Content-Security-Policy (CSP Level 3, 2.3.1).
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
