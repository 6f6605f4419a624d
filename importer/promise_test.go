package importer_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// keepsPromises puts requests to a mesh, one in each line: FROM[@ADDRESS] METHOD URL [HEADER=VALUE]... -> ANSWER. They
// are written by hand, from what the documentation of the source promises.
func keepsPromises(t *testing.T, m *ir.Mesh, lines string) {
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		asked, want, ok := strings.Cut(line, " -> ")
		if !ok {
			t.Errorf("%q is no promise", line)
			continue
		}
		if got := answered(t, m, requestOf(t, asked)); got != want {
			t.Errorf("%s -> %s, and it is promised %s", asked, got, want)
		}
	}
}

// requestOf reads a request: FROM[@ADDRESS] METHOD URL [HEADER=VALUE]...
func requestOf(t *testing.T, text string) try.Request {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		t.Fatalf("%q is no request", text)
	}
	from, address, has := strings.Cut(fields[0], "@")
	sender, err := try.ParseSender(from)
	if err != nil {
		t.Fatal(err)
	}
	r := try.Request{From: sender, Method: fields[1], Empty: true}
	if has {
		r.IP = netip.MustParseAddr(address)
	}
	if err := r.ParseURL(fields[2]); err != nil {
		t.Fatal(err)
	}
	for _, field := range fields[3:] {
		name, value, _ := strings.Cut(field, "=")
		r.Headers = append(r.Headers, ir.Header{Name: name, Value: value})
	}
	return r
}

// answered is what happens to a request: "404", "308 https://…", "closed", or where it goes, "api v1 /path", with
// percents where it goes to several.
func answered(t *testing.T, m *ir.Mesh, r try.Request) string {
	got, err := try.Try(m, r)
	if err != nil {
		return "error: " + err.Error()
	}
	if a := got.Answer; a != nil && a.Status == 0 {
		return "closed"
	} else if a != nil {
		return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Location))
	}
	var out []string
	for _, to := range got.Reaches {
		text := strings.TrimSpace(to.Service + to.External + " " + to.Version)
		if to.Path != "" && to.Path != r.Path {
			text += " " + to.Path
		}
		if to.Refused != 0 {
			text = fmt.Sprint(to.Refused)
		}
		if len(got.Reaches) > 1 {
			text = fmt.Sprintf("%g%% %s", to.Percent, text)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
