package review

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// outliersText says after what an instance is left alone.
func outliersText(o *ir.Outliers) string {
	var after []string
	inARow := func(n uint32, what string) {
		if n > 0 {
			after = append(after, fmt.Sprintf("%d %s in a row", n, what))
		}
	}
	inARow(o.LocalFailures, "requests without an answer of the application")
	inARow(o.Consecutive5xx, "answers of 5xx")
	inARow(o.GatewayErrors, "answers of 502 to 504")
	if r := o.SuccessRate; r != nil {
		after = append(after, fmt.Sprintf("a success rate %g standard deviations below the average (%s)", r.StdevFactor,
			minimumText(r.Minimum)))
	}
	if p := o.FailurePercentage; p != nil {
		after = append(after, fmt.Sprintf("%g%% of failures (%s)", p.Threshold, minimumText(p.Minimum)))
	}
	when := cmp.Or(strings.Join(after, " or "), "never")
	return fmt.Sprintf("%s, looked for every %s, out for %s, %g%% at most", when, o.Interval, o.EjectFor, o.MaxEjected)
}

func minimumText(m ir.Minimum) string {
	return fmt.Sprintf("of at least %d instances with %d requests each", m.Instances, m.Requests)
}
