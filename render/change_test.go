package render_test

import "maps"

// change replaces a part of everything, or adds something at a mark. What it is compared with has instead in that
// place, or what stood there.
type change struct{ from, to, instead string }

// add adds a field behind others, and addLine where there is none.
func add(mark, field string) change {
	return change{from: "/*" + mark + "*/", to: ", " + field}
}

func addLine(mark, field string) change { return change{from: "/*" + mark + "*/", to: field} }

func replace(from, to string) change { return change{from: from, to: to} }

// vary adds a field that stands inside of others, and compares it with the others without it.
func vary(mark, without, with string) change {
	return change{from: "/*" + mark + "*/", to: ", " + with, instead: ", " + without}
}

// changes has one for every field that is rendered, by its place in the types of the spec. A new row goes to the part
// whose first words it has.
var changes = joined(meshChanges, serviceChanges, routeChanges, gatewayChanges, podsChanges)

// joined are the changes of several parts. A field that is in two of them is a mistake, as it is in one map.
func joined(parts ...map[string]change) map[string]change {
	out := map[string]change{}
	for _, part := range parts {
		for field := range part {
			if _, twice := out[field]; twice {
				panic("there are two changes of " + field)
			}
		}
		maps.Copy(out, part)
	}
	return out
}
