package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	textdiff "github.com/rogpeppe/go-internal/diff"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/review/config"
)

// placeNames are the columns of a comparison.
var placeNames = [3]string{"compiled", "served", "envoy"}

// placesOf are a resource's versions, in the order of placeNames.
func placesOf(r *config.Row) [3]*config.Version {
	return [3]*config.Version{r.Compiled, r.Served, r.Envoy}
}

// printTable writes a line for each resource, and below them in what those differ that do.
func (c *comparison) printTable(w io.Writer) error {
	fmt.Fprintln(w, diag.Printable(c.node))
	for i, from := range c.places {
		if from != "" {
			fmt.Fprintf(w, "  %-9s %s\n", placeNames[i]+":", from)
		}
	}
	if c.served != nil && c.served.Ahead > 0 {
		fmt.Fprintf(w, "  a change is on its way: %d more steps follow\n", c.served.Ahead)
	}
	if known := slices.DeleteFunc(slices.Clone(c.places[:]), func(p string) bool { return p == "" }); len(known) < 2 {
		fmt.Fprintln(w, "  nothing is compared: the configuration is known in one place alone")
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprint(t, "\nTYPE\tNAME\tLINE\tCOMPILED\tSERVED\tENVOY\n")
	for i := range c.rows {
		r := &c.rows[i]
		fmt.Fprintf(t, "%s\t%s\t%s", r.Type, diag.Printable(r.Name), lineText(r.Source))
		for j, v := range placesOf(r) {
			fmt.Fprintf(t, "\t%s", c.hashText(r, j, v))
		}
		if r.Differs {
			fmt.Fprint(t, "\tdiffers")
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range c.rows {
		if err := c.printDifferences(w, &c.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func lineText(p source.Position) string {
	if !p.IsValid() {
		return "-"
	}
	return p.String()
}

// hashText is a resource's hash in a place: "absent" where that place should have it, and "-" where nobody knows.
func (c *comparison) hashText(r *config.Row, place int, v *config.Version) string {
	switch {
	case v != nil:
		return v.Hash
	case c.places[place] == "", place == 0 && r.Type == config.Endpoint, place == 2 && !c.states.Knows(r.Type):
		return "-"
	}
	return "absent"
}

// printDifferences writes in what the places of a resource differ, each beside the one before it.
func (c *comparison) printDifferences(w io.Writer, r *config.Row) error {
	if !r.Differs {
		return nil
	}
	var last *config.Version
	from, name := -1, diag.Printable(r.Name)
	for i, v := range placesOf(r) {
		if c.hashText(r, i, v) == "-" {
			continue
		}
		if v != nil && v.Note != "" {
			fmt.Fprintf(w, "\n%s %s in %s: %s\n", r.Type, name, placeNames[i], diag.Printable(v.Note))
		}
		if from >= 0 {
			old, now := bodyOf(last), bodyOf(v)
			text := textdiff.Diff(placeNames[from]+"/"+name, []byte(old), placeNames[i]+"/"+name, []byte(now))
			if hashOf(last) != hashOf(v) && len(text) > 0 {
				if _, err := fmt.Fprintf(w, "\n%s", text); err != nil {
					return err
				}
			}
		}
		last, from = v, i
	}
	return nil
}

func bodyOf(v *config.Version) string {
	if v == nil {
		return ""
	}
	return v.Body
}

func hashOf(v *config.Version) string {
	if v == nil {
		return ""
	}
	return v.Hash
}

// printBodies writes the resources themselves as YAML documents, of the last place that is known: the Envoy, the
// server, the mesh.
func (c *comparison) printBodies(w io.Writer) error {
	for i := range c.rows {
		r := &c.rows[i]
		for j, places := len(placeNames)-1, placesOf(r); j >= 0; j-- {
			if places[j] == nil {
				continue
			}
			if _, err := fmt.Fprintf(w, "---\n# %s %s, %s: %s\n%s", r.Type, diag.Printable(r.Name), placeNames[j],
				lineText(r.Source), places[j].Body); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// configReport is what "meshc config -o json" writes.
type configReport struct {
	Node    string `json:"node"`
	Member  string `json:"member"`
	Differs bool   `json:"differs"`
	// Compiled, Served and Envoy are the places that are known.
	Compiled  string           `json:"compiled,omitempty"`
	Served    string           `json:"served,omitempty"`
	Envoy     string           `json:"envoy,omitempty"`
	Ahead     int              `json:"ahead,omitempty"`
	Resources []configResource `json:"resources"`
}

// configResource is a resource in the places; a place that has it not is absent.
type configResource struct {
	Type     string          `json:"type"`
	Name     string          `json:"name"`
	Source   source.Position `json:"source,omitzero"`
	Differs  bool            `json:"differs,omitempty"`
	Compiled *configVersion  `json:"compiled,omitempty"`
	Served   *configVersion  `json:"served,omitempty"`
	Envoy    *configVersion  `json:"envoy,omitempty"`
}

type configVersion struct {
	Hash string `json:"hash"`
	Note string `json:"note,omitempty"`
}

func (c *comparison) report(differs bool) *configReport {
	out := &configReport{
		Node: c.node, Member: c.member.String(), Differs: differs,
		Compiled: c.places[0], Served: c.places[1], Envoy: c.places[2], Resources: []configResource{},
	}
	if c.served != nil {
		out.Ahead = c.served.Ahead
	}
	version := func(v *config.Version) *configVersion {
		if v == nil {
			return nil
		}
		return &configVersion{v.Hash, v.Note}
	}
	for i := range c.rows {
		r := &c.rows[i]
		out.Resources = append(out.Resources, configResource{
			r.Type, r.Name, r.Source, r.Differs, version(r.Compiled), version(r.Served), version(r.Envoy),
		})
	}
	return out
}
