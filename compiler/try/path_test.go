package try

import "testing"

// A path as Envoy 1.40 reads it; TestPathsAreOneThing and TestTryIsEnvoy in host/local hold real ones to it.
func TestNormalized(t *testing.T) {
	for path, want := range map[string]string{
		"/a/./b/../c": "/a/c", "//a///b": "/a/b", "///": "//", "/a//..": "/a/", `/a\..\b`: "/b", "/%2e%2E/a": "/a",
		"/...": "/...", "/a..": "/a..",
		"/%61%7e%2D": "/a~-", "/%c3%a9": "/%c3%a9", `/"<^`: "/%22%3C%5E", "/[a]": "/[a]",
		"/%252e": "/%252e", "/%25%32%65": "/%252e", "/%%32%65": "/%252e", "/%2%65": "/%252e", "/%%2e": "/%.",
		"/%zz":    "/%zz",
		"/..;x/a": "/a", "/a/.;x/b": "/a/b", "/a/..;": "/", "/a;/..;/b": "/b", "/.;%00/a": "/a", "/a%3b/..": "/",
		"/a?/../b": "/a", "/.,/a": "/.,/a",
	} {
		if got, _, why, _ := normalized(path, false); got != want || why != "" {
			t.Errorf("%s is read as %q, want %q: %s", path, got, want, why)
		}
	}
	for _, path := range []string{
		"/%2e;/admin", "/%2e%2E;x/admin", "/a/.%2e;", `/\..;/admin`, "/a/%2e.;", "/a%2fb",
		"/a%5Cb", "/a%00", "/a#b", "/a?b#c",
	} {
		if got, _, why, _ := normalized(path, false); why == "" {
			t.Errorf("%s is read as %q, want it refused", path, got)
		}
	}
}

// FuzzPath wants of every path that is not refused that reading it again changes nothing.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/a/../b", "/%2e;/admin", "/%%32%65;/..;", "/%25%32%65/.;", `/\..;/`, "///",
		"/%2%65?x#y",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		first, query, why, _ := normalized("/"+path, false)
		if why != "" {
			return
		}
		if second, again, why, _ := normalized(first+query, false); second != first || again != query || why != "" {
			t.Errorf("%q is read as %q, and that as %q %s", path, first, second, why)
		}
	})
}
