package telemetry

import (
	"bytes"
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// prefix begins the names of the mesh's own metrics in a report; others are skipped.
var prefix = []byte("meshc.")

// longestLabel is how long a label may be, in bytes. Identities, names and places in the spec are far below.
const longestLabel = 512

// errWire says that a report is not a message of the metrics service.
var errWire = errors.New("the report is not a valid StreamMetricsMessage")

// sample is one metric of a report. What it refers to is in the report itself.
type sample struct {
	name   []byte // without prefix
	labels labels
	count  uint64 // of a counter, or the number of durations of a summary
	// latency are the quantiles of a summary in milliseconds, in the order of [quantiles].
	latency [points]float64
}

// labels are those of a sample, as docs/metrics.md names them. Ruled is set where there is a rule label, be it empty.
type labels struct {
	caller, callee, port, version, route, source, rule, class, code, grpc, failure []byte

	ruled bool
}

func (l *labels) set(name, value []byte) {
	switch string(name) {
	case "caller":
		l.caller = value
	case "callee":
		l.callee = value
	case "server.port", "server.address":
		l.port = value
	case "server.name":
		l.callee = value
	case "service.version":
		l.version = value
	case "http.route":
		l.route = value
	case "source":
		l.source = value
	case "rule":
		l.rule, l.ruled = value, true
	case "http.response.status_class":
		l.class = value
	case "http.response.status_code":
		l.code = value
	case "rpc.grpc.status_code":
		l.grpc = value
	case "error.type":
		l.failure = value
	}
}

// fields calls each with every field of a message: its bytes, or its value as a varint or as 64 bits.
func fields(message []byte, each func(n protowire.Number, data []byte, value uint64) error) error {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return errWire
		}
		message = message[size:]
		var data []byte
		var value uint64
		switch kind {
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			value, size = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			value, size = protowire.ConsumeFixed64(message)
		default:
			size = protowire.ConsumeFieldValue(n, kind, message)
		}
		if size < 0 {
			return errWire
		}
		message = message[size:]
		if err := each(n, data, value); err != nil {
			return err
		}
	}
	return nil
}

// field is what a field of a message has: its bytes, or its value as a varint or as 64 bits.
type field struct {
	data  []byte
	value uint64
}

// pair is what the fields 1 and 2 of a message have, as the messages for a name, a label, a quantile and a count are
// written. What is not there is zero; of a field that is there twice, it is the last.
func pair(message []byte) (first, second field, err error) {
	err = fields(message, func(n protowire.Number, data []byte, value uint64) error {
		switch n {
		case 1:
			first = field{data, value}
		case 2:
			second = field{data, value}
		}
		return nil
	})
	return first, second, err
}

// decode calls each with the mesh's own metrics in a StreamMetricsMessage.
func decode(report []byte, each func(*sample)) error {
	return fields(report, func(n protowire.Number, data []byte, _ uint64) error {
		if n != 2 { // envoy_metrics
			return nil
		}
		return family(data, each)
	})
}

// family reads a MetricFamily.
func family(data []byte, each func(*sample)) error {
	written, _, err := pair(data)
	name, ours := bytes.CutPrefix(written.data, prefix)
	if err != nil || !ours {
		return err
	}
	return fields(data, func(n protowire.Number, data []byte, _ uint64) error {
		if n != 4 { // metric
			return nil
		}
		s := sample{name: name}
		if err := s.metric(data); err != nil {
			return err
		}
		each(&s)
		return nil
	})
}

// metric reads a Metric.
func (s *sample) metric(data []byte) error {
	return fields(data, func(n protowire.Number, data []byte, _ uint64) error {
		switch n {
		case 1:
			return s.label(data)
		case 3: // counter
			count, _, err := pair(data)
			s.count = whole(math.Float64frombits(count.value))
			return err
		case 4:
			return s.summary(data)
		}
		return nil
	})
}

func (s *sample) label(data []byte) error {
	name, text, err := pair(data)
	if err == nil && len(text.data) > longestLabel {
		return errLabel
	}
	s.labels.set(name.data, text.data)
	return err
}

var errLabel = errors.New("a label of the report is longer than 512 bytes")

func (s *sample) summary(data []byte) error {
	return fields(data, func(n protowire.Number, data []byte, value uint64) error {
		switch n {
		case 1:
			s.count = min(value, mostCounted)
		case 3:
			at, latency, err := pair(data)
			for i, q := range quantiles {
				if q == math.Float64frombits(at.value) {
					s.latency[i] = math.Float64frombits(latency.value)
				}
			}
			return err
		}
		return nil
	})
}

// mostCounted is how many requests one metric of a report can tell of: more than a proxy has in the time.
const mostCounted = 10_000_000

// whole is a count that a report tells; 0 for what is none.
func whole(n float64) uint64 {
	if n > 0 { // not a NaN
		return uint64(min(n, mostCounted))
	}
	return 0
}
