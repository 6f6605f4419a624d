package envoy

import (
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// http1Options are those of HTTP/1.1, towards clients and upstreams.
func http1Options() *corev3.Http1ProtocolOptions {
	return &corev3.Http1ProtocolOptions{EnableTrailers: true}
}

// http1Upstream are those towards upstreams: an answer with a length that is chunked all the same is read by its chunks
// (RFC 9112, section 6.3). Requests with both are refused, since they are how requests are smuggled.
func http1Upstream() *corev3.Http1ProtocolOptions {
	options := http1Options()
	options.AllowChunkedLength = true
	return options
}

// handsOn has a connection manager hand on what HTTP/1.1 offers besides requests and answers: trailers, and the
// question of a client whether its body is wanted, which the application answers. Where a filter waits for the whole
// body the proxy says itself that it is, since the filter would wait for ever.
func handsOn(m *hcmv3.HttpConnectionManager, filters []*hcmv3.HttpFilter) {
	m.HttpProtocolOptions = http1Options()
	takeAnyMethod(m)
	m.Proxy_100Continue = !slices.ContainsFunc(filters, func(f *hcmv3.HttpFilter) bool {
		return f.Name == bufferFilter
	})
}

// ignoreUpgrades has a connection manager serve requests that offer an upgrade as ordinary ones (RFC 9110, 7.8), but
// for upgrades to those protocols. Envoy would refuse them.
func ignoreUpgrades(m *hcmv3.HttpConnectionManager, but []string) {
	m.HttpProtocolOptions.IgnoreHttp_11Upgrade = []*matcherv3.StringMatcher{
		{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: re2("(?i)" + noneOf(but))}},
	}
}

// noneOf is a regular expression for all text but the words: text that leaves all of them at some character, or goes
// on behind one, or ends before.
func noneOf(words []string) string {
	next := map[byte][]string{}
	whole := false
	for _, w := range words {
		if w == "" {
			whole = true
			continue
		}
		next[w[0]] = append(next[w[0]], w[1:])
	}
	if len(next) == 0 {
		if whole {
			return ".+"
		}
		return ".*"
	}
	none := ""
	for _, c := range sortedKeys(next) {
		none += escaped(c)
	}
	out := "[^" + none + "].*"
	for _, c := range sortedKeys(next) {
		out += "|" + escaped(c) + "(?:" + noneOf(next[c]) + ")"
	}
	if !whole {
		out += "|"
	}
	return out
}

func escaped(c byte) string { return fmt.Sprintf(`\x%02x`, c) }
