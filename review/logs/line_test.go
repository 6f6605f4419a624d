package logs

import (
	"slices"
	"strings"
	"testing"
)

// FuzzParse has hostile lines: no line makes it fail, no query gets through, and no text of a line begins a line of
// what is printed.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		`{"kind":"http.client","url.path":"/a?token=secret","http.response.status_code":504,"flags":"UT,URX"}`,
		`2026-11-29T10:00:02.000Z kind=http.client flags=- rule="a b" url.path=/a b?token=secret`,
		`[2026-11-29T10:00:03.000Z] "GET /a?token=secret HTTP/1.1" 404 NR 0 0 0 - "-" "curl" "b" "server:8080" "-"`,
		`{"kind":null}`, `{`, ` kind=`, `[] "" 1`,
	} {
		f.Add(line)
	}
	f.Add(`{"kind":"http.server","flags":"UF\nforged","details":"x\nforged","source":"a\nforged","rule":"a\nforged",` +
		`"url.path":"/a\nforged","caller":"x\nforged","time":"1\nforged"}`)
	f.Fuzz(func(t *testing.T, text string) {
		line, known := Parse(text)
		if known && slices.Contains([]byte(line.Path), '?') {
			t.Errorf("the path of %q has a query: %q", text, line.Path)
		}
		if !known {
			return
		}
		e := &Explanation{Line: line, Means: inWords(line)}
		lines := 2 + len(e.Means) // the first one and the empty one at the end
		for _, has := range []bool{
			line.Attempts > 1, line.Route != "" || line.Source != "", line.Rule != "",
		} {
			if has {
				lines++
			}
		}
		var said strings.Builder
		if err := e.Text(&said); err != nil || strings.Count(said.String(), "\n") != lines {
			t.Errorf("%q is explained in other lines than its own: %q, %v", text, said.String(), err)
		}
	})
}

// TestLinesAreRead wants the same of a request in each form, as far as the form tells it.
func TestLinesAreRead(t *testing.T) {
	for _, text := range []string{
		`{"kind":"http.client","http.request.method":"GET","url.path":"/a?token=secret","http.response.status_code":504,"flags":"UT,URX","server.address":"b:1"}`,
		`2026-11-29T10:00:02.000Z kind=http.client flags=UT,URX rule="a b" http.response.status_code=504 http.request.method=GET server.address=b:1 url.path=/a?token=secret`,
		`[2026-11-29T10:00:03.000Z] "GET /a?token=secret HTTP/1.1" 504 UT,URX 0 0 0 - "-" "curl" "b" "b:1" "-"`,
	} {
		line, known := Parse(text)
		if !known || line.Method != "GET" || line.Path != "/a" || line.Host != "b:1" || line.Status != 504 ||
			!slices.Equal(line.Flags, []string{"UT", "URX"}) {
			t.Errorf("%q is read as %+v, %v", text, line, known)
		}
	}
	for _, text := range []string{"", "{}", "[2026] something else", `{"msg":"of an application"}`} {
		if line, known := Parse(text); known {
			t.Errorf("%q is read as %+v", text, line)
		}
	}
}
