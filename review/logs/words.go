package logs

import "strings"

// flags are Envoy's response flags, in words.
var flags = map[string]string{
	"UH":    "no instance of the callee is healthy",
	"UF":    "the connection to the callee failed",
	"UO":    "a circuit breaker is open: the callee has as many connections or requests as `connections` allows",
	"NR":    "no route takes the request",
	"URX":   "all tries failed: as many as `retries` or, below HTTP, one",
	"NC":    "the cluster of the route is not there",
	"DT":    "the request or the connection was open for as long as it may be",
	"DC":    "the caller closed the connection before it had the answer",
	"LH":    "the health check of the proxy failed",
	"UT":    "the callee did not answer within the timeout",
	"LR":    "the proxy reset the connection",
	"UR":    "the callee reset the request",
	"UC":    "the callee closed the connection",
	"DI":    "a fault of the spec delayed the request",
	"FI":    "a fault of the spec aborted the request",
	"RL":    "a rate limit refused the request",
	"UAEX":  "the external authorization service, or the check of the token, refused the request",
	"RLSE":  "the rate limit service did not answer",
	"IH":    "a header that Envoy knows had a value that is not valid",
	"SI":    "nothing moved on the request for idleTimeout",
	"DPE":   "the request is not valid HTTP",
	"UPE":   "the answer is not valid HTTP",
	"UMSDR": "the request was open for as long as it may be",
	"RFCF":  "an answer from the cache could not be sent",
	"NFCF":  "no filter chain took the connection",
	"OM":    "the proxy is overloaded",
	"DF":    "the name of the callee was not found by DNS",
	"DR":    "the caller reset the request: its time was over, or it went away",
	"UDO":   "the proxy is overloaded, and dropped the request",
}

// details are beginnings of what Envoy says in details of how a request ended, in words.
var details = []struct{ begins, words string }{
	{"rbac_access_denied_matched_policy[none]", "no rule of the callee allows the request"},
	{"rbac_access_denied_matched_policy", "a rule of the callee denies the request"},
	{"jwt_authn_access_denied", "the token is missing or not good"},
	{"ext_authz_denied", "the external authorization service said no"},
	{"ext_authz_error", "the external authorization service did not answer"},
	{"route_not_found", "no route takes the request"},
	{"no_healthy_upstream", "no instance of the callee is healthy"},
	{"response_timeout", "the answer did not come within the timeout"},
	{"upstream_per_try_timeout", "no answer began within retries.perTryTimeout"},
	{"upstream_response_timeout", "the answer did not come within the timeout"},
	{"request_overall_timeout", "the request was open for as long as it may be"},
	{"overflow", "a circuit breaker is open"},
	{"local_rate_limited", "a rate limit of this proxy refused the request"},
	{"request_rate_limited", "the rate limit service refused the request"},
	{"fault_filter_abort", "a fault of the spec aborted the request"},
	{"downstream_remote_disconnect", "the caller closed the connection"},
	{"downstream_local_disconnect", "the proxy closed the connection"},
	{"stream_idle_timeout", "nothing moved on the request for idleTimeout"},
	{"direct_response", "a route answers by itself"},
	{"path_normalization_failed", "the path is not one that both ends read alike"},
	{"http1.unexpected_underscore", "a header has an underscore in its name"},
	{"http2.unexpected_underscore", "a header has an underscore in its name"},
	{"upstream_reset_before_response_started", "the callee ended the connection before it answered"},
	{"upstream_reset_after_response_started", "the callee ended the connection within its answer"},
	{"request_payload_too_large", "the body has more than maxRequestBytes"},
	{"http2.remote_reset", "the caller reset the request"},
	{"via_upstream", "the callee answered"},
}

// failures are parts of the reason why no connection to the callee came about, in words.
var failures = []struct{ has, words string }{
	{"CERTIFICATE_EXPIRED", "a certificate has expired"},
	{"certificate has expired", "a certificate has expired"},
	{"SAN matcher", "the instance does not have the identity of the callee"},
	{"CERTIFICATE_VERIFY_FAILED", "the certificate of the other side is not believed"},
	{"Connection_refused", "nothing listens on the port of the instance"},
	{"Connection refused", "nothing listens on the port of the instance"},
	{"timeout", "no connection was opened within connectTimeout"},
}

// inWords are the flags, details and failure of a line.
func inWords(l *Line) (out []string) {
	for _, f := range l.Flags {
		words := flags[f]
		if words == "" {
			words = "a flag that this meshc does not know"
		}
		out = append(out, f+": "+words)
	}
	for _, d := range details {
		if strings.HasPrefix(l.Details, d.begins) {
			out = append(out, l.Details+": "+d.words)
			break
		}
	}
	for _, f := range failures {
		if strings.Contains(l.Failure, f.has) {
			out = append(out, l.Failure+": "+f.words)
			break
		}
	}
	return out
}
