package link

import "strings"

// choice are the written fields of those of which exactly one has to be.
type choice []string

// add adds a field, if it is written.
func (c *choice) add(name string, written bool) {
	if written {
		*c = append(*c, name)
	}
}

// instead is what to do where it is not one: take the others out, or write the example.
func (c choice) instead(example string) string {
	if len(c) > 1 {
		return "remove " + strings.Join(c[1:], " and ")
	}
	return example
}
