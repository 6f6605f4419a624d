package envoy

import (
	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
)

const faultFilter = "envoy.filters.http.fault"

// fault delays and aborts requests of a route before they are sent.
func fault(_ string, by []*ir.Route) proto.Message {
	f := nearest(by, func(r *ir.Route) *ir.Fault { return r.Fault })
	if f == nil {
		return nil
	}
	out := &faultv3.HTTPFault{}
	if f.Delay > 0 {
		out.Delay = &commonfaultv3.FaultDelay{
			FaultDelaySecifier: &commonfaultv3.FaultDelay_FixedDelay{FixedDelay: duration(f.Delay)},
			Percentage:         fraction(f.DelayPercent),
		}
	}
	if f.Status > 0 {
		out.Abort = &faultv3.FaultAbort{
			ErrorType:  &faultv3.FaultAbort_HttpStatus{HttpStatus: uint32(f.Status)},
			Percentage: fraction(f.AbortPercent),
		}
	}
	if f.GRPCStatus > 0 {
		out.Abort = &faultv3.FaultAbort{
			ErrorType:  &faultv3.FaultAbort_GrpcStatus{GrpcStatus: uint32(f.GRPCStatus)},
			Percentage: fraction(f.AbortPercent),
		}
	}
	return out
}
