package serve

import (
	"maps"
	"strings"
	"testing"
)

// What a query string has that is secret is taken out, by its name in whatever spelling and by its looks, and the rest
// is as it was written.
func TestQueryStringsWithoutSecrets(t *testing.T) {
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefgh"
	for query, want := range map[string]string{
		"": "", "q=a%20b&&page=3&flag": "q=a%20b&&page=3&flag", "tokens=3&assets=1": "tokens=3&assets=1",
		"token=hunter2":                          "token=[redacted]",
		"a=1;Access-Token=hunter2;b=2":           "a=1;Access-Token=[redacted];b=2",
		"access%5Ftoken=hunter2&b=%zz":           "access%5Ftoken=[redacted]&b=[redacted]",
		"sig=hunter2&X-Amz-Credential=hunter2/x": "sig=[redacted]&X-Amz-Credential=[redacted]",
		"next=" + token:                          "next=[redacted]",
		"h=Bearer%20hunter2hunter2hunter2":       "h=[redacted]",
		token + "=1":                             "[redacted]",
	} {
		if got := withoutSecrets(query); got != want || strings.Contains(got, "hunter2") {
			t.Errorf("%q is shown as %q, and not as %q", query, got, want)
		}
	}
}

// Whatever a proxy sends, an operator sees no header that a tap does not show, and no detail that was not asked for.
func TestTapShowsNoOtherHeader(t *testing.T) {
	sent := &TapEvent{Fields: map[string]string{
		"url.path": "/", "tap.details": "true", "url.query": "a=1", "http.request.header.user-agent": "u",
		"http.request.header.authorization": "secret", "http.request.header.Cookie": "secret",
	}}
	for _, headers := range []bool{true, false} {
		for _, query := range []bool{true, false} {
			want := map[string]string{"url.path": "/"}
			if headers {
				want["http.request.header.user-agent"] = "u"
			}
			if query {
				want["url.query"] = "a=1"
			}
			r := TapRequest{Headers: headers, Query: query}
			if got := r.view(sent).Fields; !maps.Equal(got, want) {
				t.Errorf("%+v shows %v", r, got)
			}
		}
	}
}
