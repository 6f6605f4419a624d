package heard

import "testing"

func TestBounded(t *testing.T) {
	for _, c := range []struct {
		of         func(string, int) string
		text, want string
	}{
		{Text, "good", "good"},
		{Text, "two\nlines\tand\x1b[2Jmore", "two\nlines\tand\ufffd[2Jmore"},
		{Text, "0123456789", "01234567 … (2 more bytes)"},
		{Text, "0123456é", "0123456 … (1 more bytes)"}, // no half of a character
		{Line, "a\nb\tc", "a\ufffdb\ufffdc"},
		{Line, "a\xffb", "ab"},
	} {
		most := 64
		if len(c.text) < 12 && c.text[0] == '0' {
			most = 8
		}
		if got := c.of(c.text, most); got != c.want {
			t.Errorf("%q is %q, want %q", c.text, got, c.want)
		}
	}
}
