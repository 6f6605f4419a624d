package importer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/spec"
)

// Duration returns a duration in the form of the language, for example "1m30s" or "0.5ms".
func Duration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}} {
		if n := d / unit.of; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			d -= n * unit.of
		}
	}
	switch {
	case d >= time.Second:
		b.WriteString(strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s")
	case d > 0:
		b.WriteString(strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', -1, 64) + "ms")
	}
	return b.String()
}

// Edits returns changes of headers; nil if there are none. Header names are written in lower case.
func Edits(set, add map[string]string, remove []string) *spec.HeaderEdits {
	if len(set)+len(add)+len(remove) == 0 {
		return nil
	}
	e := &spec.HeaderEdits{Set: lowered(set), Add: lowered(add)}
	for _, name := range remove {
		e.Remove = append(e.Remove, spec.Written(strings.ToLower(name)))
	}
	return e
}

func lowered(in map[string]string) map[string]spec.Field[string] {
	if len(in) == 0 {
		return nil
	}
	out := map[string]spec.Field[string]{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		out[strings.ToLower(name)] = spec.Written(in[name])
	}
	return out
}

// IsEmpty reports whether a value has no content left after [Take].
func IsEmpty(v any) bool {
	left, err := leavesOf(v)
	return err == nil && len(left) == 0
}
