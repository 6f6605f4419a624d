package telemetry

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Counted is by how much the counters of that name grew, as a report tells; 0 where it does not. Other than
// [Proxy.Report] it takes any of Envoy's own statistics.
func Counted(report []byte, name string) (out uint64) {
	// What is not a report was refused before.
	_ = fields(report, func(n protowire.Number, data []byte, _ uint64) error {
		if n != 2 { // envoy_metrics
			return nil
		}
		named := false
		return fields(data, func(n protowire.Number, data []byte, _ uint64) error {
			switch {
			case n == 1:
				named = string(data) == name
			case n == 4 && named:
				out += counter(data)
			}
			return nil
		})
	})
	return out
}

// counter is the value of a Metric that is a counter.
func counter(metric []byte) (out uint64) {
	_ = fields(metric, func(n protowire.Number, data []byte, _ uint64) error { // as above
		if n != 3 {
			return nil
		}
		return fields(data, func(n protowire.Number, _ []byte, value uint64) error {
			if n == 1 {
				out = whole(math.Float64frombits(value))
			}
			return nil
		})
	})
	return out
}
