package review

import (
	"fmt"

	"github.com/meshc/meshc/compiler/ir"
)

// objectivesText is what part of some requests is to be well.
func objectivesText(o *ir.Objectives) []Setting {
	if o == nil {
		return nil
	}
	var out []Setting
	if a := o.Availability; a != nil {
		out = append(out, Setting{"objectives.availability", fmt.Sprintf("%v %% succeed", a.Value), a.Pos.String()})
	}
	for _, l := range o.Latency {
		out = append(out, Setting{
			"objectives.latency", fmt.Sprintf("%v %% take less than %s", l.Percent, l.Within), l.Pos.String(),
		})
	}
	return out
}
