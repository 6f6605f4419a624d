package series

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// Share is an edge and what it costs.
type Share struct {
	// To is CALLEE:PORT for what the proxy sends, "from CALLER" for what comes to it, and "its own answers" where it is
	// nobody's.
	To     string
	Series int
}

// Largest are the edges with the most series, at most n of them.
func (s *Set) Largest(n int) []Share {
	of := map[string]int{}
	for e := range s.edges {
		of[e.words()] += s.Of(e).Series
	}
	var out []Share
	for to, series := range of {
		out = append(out, Share{to, series})
	}
	slices.SortFunc(out, func(a, b Share) int { return cmp.Or(b.Series-a.Series, cmp.Compare(a.To, b.To)) })
	return out[:min(n, len(out))]
}

func (e Edge) words() string {
	switch {
	case e.Kind == ServerHTTP || e.Kind == ServerTCP:
		return "from " + cmp.Or(e.Caller, "callers without a certificate")
	case e.Callee == "":
		return "its own answers"
	}
	return e.Callee + ":" + e.Port
}

// Number is a number as people read it: "3,200".
func Number(n int) string {
	text := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// Size is a number of bytes as people read it: "0.8 MB", "12.0 kB".
func Size(bytes int) string {
	if bytes > -100_000 && bytes < 100_000 {
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}

// Change is how much one cost is more than another, in words: "+3,200 series, +0.8 MB"; "" where they are the same.
func Change(before, after Cost) string {
	if before == after {
		return ""
	}
	signed := func(text string, n int) string {
		if n < 0 {
			return text
		}
		return "+" + text
	}
	series, bytes := after.Series-before.Series, after.Bytes-before.Bytes
	return signed(Number(series), series) + " series, " + signed(Size(bytes), bytes)
}
