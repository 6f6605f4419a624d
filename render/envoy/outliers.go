package envoy

import (
	"cmp"
	"math"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	matchv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	// maxEjection is how long Envoy ejects at most unless told otherwise.
	maxEjection = 300 * time.Second
	always      = 100 // percent of the times
)

// outlierDetection ejects instances that fail. What the proxy sees itself, connections that fail and tries whose time
// is over, counts in the place of an answer of 503 or 504: Envoy can count it apart, but would then begin anew with
// each connection that it gets, and an instance that never answers would stay. Of the answers none counts but those
// that failed holds for, where it is given and nobody wrote that answers count. One instance may always be out,
// however few there are.
func outlierDetection(c *clusterv3.Cluster, o *ir.Outliers,
	failed *matchv3.MatchPredicate,
) *httpv3.HttpProtocolOptions_OutlierDetection {
	if o == nil {
		o = ir.DefaultOutliers()
	}
	out := &clusterv3.OutlierDetection{
		Interval:           duration(o.Interval),
		BaseEjectionTime:   duration(o.EjectFor),
		MaxEjectionPercent: wrapperspb.UInt32(uint32(o.MaxEjected)),
	}
	c.OutlierDetection = out
	if o.MaxEjected > 0 {
		out.AlwaysEjectOneHost = wrapperspb.Bool(true)
	}
	if most := ir.Duration(maxEjection); o.EjectFor > most {
		out.MaxEjectionTime = duration(o.EjectFor)
	}
	out.Consecutive_5Xx, out.EnforcingConsecutive_5Xx = inARow(cmp.Or(o.Consecutive5xx, o.LocalFailures))
	if o.GatewayErrors > 0 { // off by itself
		out.ConsecutiveGatewayFailure, out.EnforcingConsecutiveGatewayFailure = wrapperspb.UInt32(o.GatewayErrors),
			wrapperspb.UInt32(always)
	}
	shares(out, o)
	if failed == nil || o.ReadAnswers() {
		return nil
	}
	return &httpv3.HttpProtocolOptions_OutlierDetection{ErrorMatcher: failed}
}

// inARow is a threshold that is on by itself: 0 is told as never enforced.
func inARow(n uint32) (threshold, enforcing *wrapperspb.UInt32Value) {
	if n == 0 {
		return nil, wrapperspb.UInt32(0)
	}
	return wrapperspb.UInt32(n), nil
}

// shares are the detectors that look at all requests of an interval. Those by success rate are on by themselves.
func shares(out *clusterv3.OutlierDetection, o *ir.Outliers) {
	if r := o.SuccessRate; r != nil {
		out.SuccessRateMinimumHosts = wrapperspb.UInt32(r.Minimum.Instances)
		out.SuccessRateRequestVolume = wrapperspb.UInt32(r.Minimum.Requests)
		out.SuccessRateStdevFactor = wrapperspb.UInt32(uint32(math.Round(r.StdevFactor * 1000)))
	} else {
		out.EnforcingSuccessRate = wrapperspb.UInt32(0)
	}
	if p := o.FailurePercentage; p != nil {
		out.FailurePercentageMinimumHosts = wrapperspb.UInt32(p.Minimum.Instances)
		out.FailurePercentageRequestVolume = wrapperspb.UInt32(p.Minimum.Requests)
		out.FailurePercentageThreshold = wrapperspb.UInt32(uint32(p.Threshold))
		out.EnforcingFailurePercentage = wrapperspb.UInt32(always)
	}
}
