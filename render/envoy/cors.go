package envoy

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const corsFilter = "envoy.filters.http.cors"

// cors answers a browser's question, and says with each answer who may read it.
func cors(_ string, by []*ir.Route) proto.Message {
	c := nearest(by, func(r *ir.Route) *ir.CORS { return r.CORS })
	if c == nil {
		return nil
	}
	out := &corsv3.CorsPolicy{
		AllowMethods: strings.Join(c.Methods, ","), AllowHeaders: strings.Join(c.Headers, ","),
		ExposeHeaders:    strings.Join(c.ExposeHeaders, ","),
		AllowCredentials: wrapperspb.Bool(c.Credentials),
		// A question of a page that has no leave is answered here too, with none.
		ForwardNotMatchingPreflights: wrapperspb.Bool(false),
	}
	if c.MaxAge > 0 {
		out.MaxAge = strconv.Itoa(int(time.Duration(c.MaxAge) / time.Second))
	}
	for _, origin := range c.Origins {
		out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, originMatch(origin))
	}
	return out
}

func originMatch(origin string) *matcherv3.StringMatcher {
	if origin == "*" {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "http"}}
	}
	scheme, domain, wildcard := strings.Cut(origin, "*.")
	if !wildcard {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: origin}}
	}
	pattern := regexp.QuoteMeta(scheme) + `[-a-z0-9.]+\.` + regexp.QuoteMeta(domain)
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: re2(pattern)}}
}
