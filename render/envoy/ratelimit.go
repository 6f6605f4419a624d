package envoy

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	ratelimitconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/ratelimit/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	commonratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	localratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	localRateLimitFilter = "envoy.filters.http.local_ratelimit"
	rateLimitFilter      = "envoy.filters.http.ratelimit"
)

// The entries of descriptors, by which the rate limit service tells bounds apart.
const (
	descriptorService = "service"
	descriptorRoute   = "route"
	descriptorCaller  = "caller"
)

// localRateLimit bounds the requests of a route to a callee in this proxy. Envoy has one such bound for each route, so
// the strictest of the routes that say so holds.
func localRateLimit(name string, by []*ir.Route) proto.Message {
	var strictest *ir.RateLimit
	for _, r := range by {
		if l := r.RateLimit; l != nil && !l.Global && (strictest == nil || rate(l) < rate(strictest)) {
			strictest = l
		}
	}
	if strictest == nil {
		return nil
	}
	return localLimit(name, strictest, nil)
}

// globalRateLimit has the rate limit service bound the requests of a route to a callee; each of the routes that say so
// keeps its own count.
func globalRateLimit(_ string, by []*ir.Route) proto.Message {
	var limits []*routev3.RateLimit
	for _, r := range by {
		if l := r.RateLimit; l != nil && l.Global {
			limits = append(limits, routeLimit(l.Owner, r.Name))
		}
	}
	if limits == nil {
		return nil
	}
	return &ratelimitv3.RateLimitPerRoute{RateLimits: limits}
}

// rate is in requests a second.
func rate(l *ir.RateLimit) float64 {
	return float64(l.Requests) / time.Duration(l.Per).Seconds()
}

// limitService bounds the requests that the service takes on a port; RBAC has let
// in allowed callers alone.
func (b *builder) limitService(route *routev3.Route, port *ir.Port) {
	s := b.scope.Service
	limit := s.RateLimit
	switch {
	case limit == nil:
	case limit.Global && !limit.PerCaller:
		b.perRoute(route, rateLimitFilter,
			&ratelimitv3.RateLimitPerRoute{RateLimits: []*routev3.RateLimit{serviceLimit(s.Name)}})
	case limit.Global:
		out := &ratelimitv3.RateLimitPerRoute{}
		for _, p := range b.peers(port) {
			l := serviceLimit(s.Name)
			l.Actions = append(l.Actions, calledBy(p))
			out.RateLimits = append(out.RateLimits, l)
		}
		b.perRoute(route, rateLimitFilter, out)
	case limit.PerCaller:
		b.perRoute(route, localRateLimitFilter, localLimit(route.Name, limit, b.peers(port)))
	default:
		b.perRoute(route, localRateLimitFilter, localLimit(route.Name, limit, nil))
	}
}

// localLimit is a bound that this proxy keeps: one, or one for each caller.
func localLimit(name string, l *ir.RateLimit, callers []ir.Peer) *localratelimitv3.LocalRateLimit {
	always := &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: 100}}
	out := &localratelimitv3.LocalRateLimit{
		StatPrefix: statName(name), TokenBucket: tokens(l), FilterEnabled: always, FilterEnforced: always,
		RateLimitedAsResourceExhausted: true,
	}
	for _, p := range callers {
		out.AlwaysConsumeDefaultTokenBucket = wrapperspb.Bool(false)
		out.RateLimits = append(out.RateLimits, &routev3.RateLimit{Actions: []*routev3.RateLimit_Action{calledBy(p)}})
		out.Descriptors = append(out.Descriptors, &commonratelimitv3.LocalRateLimitDescriptor{
			Entries:     []*commonratelimitv3.RateLimitDescriptor_Entry{{Key: descriptorCaller, Value: p.Name}},
			TokenBucket: tokens(l),
		})
	}
	return out
}

func tokens(l *ir.RateLimit) *typev3.TokenBucket {
	return &typev3.TokenBucket{
		MaxTokens: l.Requests + l.Burst, TokensPerFill: wrapperspb.UInt32(l.Requests), FillInterval: duration(l.Per),
	}
}

func serviceLimit(service string) *routev3.RateLimit {
	return &routev3.RateLimit{Actions: []*routev3.RateLimit_Action{entry(descriptorService, service)}}
}

func routeLimit(of, route string) *routev3.RateLimit {
	return &routev3.RateLimit{Actions: []*routev3.RateLimit_Action{
		entry(descriptorService, of),
		entry(descriptorRoute, route),
	}}
}

func entry(key, value string) *routev3.RateLimit_Action {
	return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_GenericKey_{
		GenericKey: &routev3.RateLimit_Action_GenericKey{DescriptorKey: key, DescriptorValue: value},
	}}
}

// calledBy says that a request came from that caller: its identity is the last
// thing in the header that this proxy wrote for it.
func calledBy(p ir.Peer) *routev3.RateLimit_Action {
	return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_HeaderValueMatch_{
		HeaderValueMatch: &routev3.RateLimit_Action_HeaderValueMatch{
			DescriptorKey: descriptorCaller, DescriptorValue: p.Name,
			Headers: []*routev3.HeaderMatcher{{
				Name: "x-forwarded-client-cert",
				HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
					MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: ";URI=" + p.Identity.String()},
				}},
			}},
		},
	}}
}

// rateLimits asks the mesh's rate limit service; nil when there is none that this
// proxy may ask.
func (b *builder) rateLimits() *ratelimitv3.RateLimit {
	s := b.scope.Settings.RateLimit
	if s == nil || b.scope.Upstreams[s.Service] == nil {
		return nil
	}
	callee := b.scope.Upstreams[s.Service]
	cluster := b.upstream(callee, b.use(s.Service), callee.Port(s.Port), "")
	return &ratelimitv3.RateLimit{
		Domain: b.scope.Settings.Name, Timeout: duration(s.Timeout), FailureModeDeny: s.FailClosed,
		RateLimitedAsResourceExhausted: true,
		StatusOnError:                  &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		RateLimitService: &ratelimitconfigv3.RateLimitServiceConfig{
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcService: &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster, Authority: callee.Name},
			}},
		},
	}
}
