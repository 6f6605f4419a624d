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
var drawing string

//go:embed panel.js
var panel string

//go:embed still.js
var still string

//go:embed live.js
var live string

//go:embed page.css
var style string

var page = template.Must(template.New("page").Parse(pageText))

// pageData is what the page has from the beginning. A live one has its name alone, and asks for the rest.
type pageData struct {
	Mesh   string            `json:"mesh"`
	Live   bool              `json:"live,omitempty"`
	Graph  *Graph            `json:"graph,omitempty"`
	Groups []Group           `json:"groups,omitempty"`
	Scenes map[string]*Scene `json:"scenes,omitempty"`
}

// still is the room in a page without numbers, beside that for the labels.
const (
	stillUnder = 1
	labelMost  = 140
	labelLeast = 40
)

// HTML writes the graph as one page that contains everything it needs and loads nothing.
func (g *Graph) HTML(w io.Writer) error {
	room := Room{Label: labelLeast, Under: stillUnder}
	for i := range g.Edges {
		room.Label = max(room.Label, min(labelMost, textWidth(g.Edges[i].label(), labelSize)))
	}
	data := pageData{Mesh: g.Mesh, Graph: g, Groups: g.Groups(), Scenes: map[string]*Scene{}}
	for _, view := range g.Views() {
		scene, err := g.Scene(view, room)
		if err != nil {
			return err
		}
		data.Scenes[view] = scene
	}
	return data.write(w)
}

func (d *pageData) write(w io.Writer) error {
	data, err := json.Marshal(d) // with <, > and & escaped, so that nothing in it ends the element
	if err != nil {
		return err
	}
	return page.Execute(w, struct {
		Mesh         string
		Data, Script template.JS
		Style        template.CSS
		Policy       string
	}{
		d.Mesh, template.JS(data), template.JS(script), template.CSS(style), policy(d.Live),
	}) // #nosec G203 -- escaped above, and our own
}

// script is all that runs in a page.
var script = drawing + panel + live + still

// policy is the Content-Security-Policy of a page: it runs our script alone, and a live one asks its own server.
func policy(live bool) string {
	asks := ""
	if live {
		asks = "connect-src 'self'; "
	}
	return "default-src 'none'; script-src " + digest(script) + "; style-src " + digest(style) + "; " + asks +
		"base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
}

// LivePage writes the page of a server: it asks for /edges, /status and /page/scene, and has nothing of the mesh but
// its name.
func LivePage(w io.Writer, mesh string) error {
	return (&pageData{Mesh: mesh, Live: true}).write(w)
}

// LivePolicy is the Content-Security-Policy of [LivePage], as a header.
func LivePolicy() string { return policy(true) + "; frame-ancestors 'none'" }

// LiveRoom is the room for numbers and the state of proxies in the scenes of a live page.
var LiveRoom = Room{Label: 150, Under: 2}

// digest names an element for a Content-Security-Policy (CSP Level 3, 2.3.1).
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
