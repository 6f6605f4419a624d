package link

import "testing"

func TestNotInOrder(t *testing.T) {
	for _, good := range []string{
		"/", "/a", "/a/", "/a/b.c", "/.well-known/x", "/a..b", "/a%20b", "/a;b=c", "/...",
		"/caf%C3%A9", "/a:b@c!$&'()*+,=",
	} {
		if reason, _ := notInOrder(good, false); reason != "" {
			t.Errorf("%s is refused: %s", good, reason)
		}
	}
	for _, bad := range []string{
		"//", "/a//b", "/./a", "/a/..", "/a/../b", "/é", "/a b", "/a\\b", "/a%2Fb", "/a%2fb",
		"/a%5cb", "/%61", "/a%2e", "/%7Eu", "/a\x00",
	} {
		if reason, _ := notInOrder(bad, false); reason == "" {
			t.Errorf("%s is taken", bad)
		}
	}
	for _, prefix := range []string{"/.", "/a/.", "/a/.."} {
		if reason, _ := notInOrder(prefix, true); reason != "" {
			t.Errorf("the prefix %s is refused: %s", prefix, reason)
		}
	}
}
