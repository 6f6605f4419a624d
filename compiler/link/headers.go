package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// What Envoy takes of one route (envoy.config.core.v3.HeaderValue,
// envoy.config.route.v3.Route).
const (
	maxHeaderValue = 16384 // bytes
	maxHeaderEdits = 1000
)

// headers are what a route changes in requests and answers.
func (l *linker) headers(here place, h *spec.Headers) ir.Headers {
	if h == nil {
		return ir.Headers{}
	}
	return ir.Headers{
		Request:  l.headerEdits(here.field("request"), h.Request),
		Response: l.headerEdits(here.field("response"), h.Response),
	}
}

func (l *linker) headerEdits(here place, e *spec.HeaderEdits) ir.HeaderEdits {
	var out ir.HeaderEdits
	if e == nil {
		return out
	}
	first := map[string]spec.Pos{}
	edit := func(at place, name string, pos spec.Pos) bool {
		if other, twice := first[name]; twice {
			l.add(diag.NoEffect, at, fmt.Sprintf("the header %s is edited twice", name), here.pos(pos),
				here.pos(other)).
				hint("name each header in only one of set, add and remove")
			return false
		}
		first[name] = pos
		return l.editable(at, name, pos)
	}
	for _, list := range []struct {
		name   string
		values map[string]spec.Field[string]
		out    *[]ir.Header
	}{{"set", e.Set, &out.Set}, {"add", e.Add, &out.Add}} {
		for _, name := range sortedKeys(list.values) {
			value, at := list.values[name], here.field(list.name+"."+name)
			if l.lineOfText(at, value.Value, here.pos(value.Pos)) && edit(at, name, value.Pos) {
				*list.out = append(*list.out, ir.Header{Name: name, Value: value.Value})
			}
		}
	}
	for i, name := range e.Remove {
		if edit(here.field("remove").index(i), name.Value, name.Pos) {
			out.Remove = append(out.Remove, name.Value)
		}
	}
	if n := len(out.Set) + len(out.Add); n > maxHeaderEdits {
		l.add(diag.OutOfRange, here, fmt.Sprintf("%d headers are set and added, and a proxy allows at most %d", n,
			maxHeaderEdits), here.pos(e.Pos))
	}
	slices.Sort(out.Remove)
	return out
}

// ofTheConnection are headers that say how a message is sent (RFC 9110, sections
// 7.6.1, 7.8 and 8.6; RFC 9112, section 6.1): every proxy writes its own.
var ofTheConnection = []string{
	"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// editable refuses headers that no route can change.
func (l *linker) editable(here place, name string, pos spec.Pos) bool {
	switch {
	case name == "host":
		l.add(diag.NoEffect, here, "the header host decides where a request goes, and cannot be edited", here.pos(pos)).
			hint("write rewrite: host, or a redirect")
	case slices.Contains(ofTheConnection, name):
		l.add(diag.NoEffect, here,
			fmt.Sprintf("the header %s belongs to one connection, and every proxy writes its own", name),
			here.pos(pos)).
			hint("remove it")
	case ofProxies(name):
		l.add(diag.NoEffect, here,
			fmt.Sprintf("the header %s is reserved for the proxies, which act by such headers and write them themselves", name), here.pos(pos)).
			hint("remove it")
	case name == ir.ClientHeader:
		l.add(diag.NoEffect, here,
			fmt.Sprintf("the header %s is written by gateways, which say in it where the client is, and cannot be edited", name), here.pos(pos)).
			hint("remove it")
	case strings.Contains(name, "_"):
		l.sendable(here, name, here.pos(pos))
	default:
		return true
	}
	return false
}

// ofProxies reports whether proxies act by a header, and write it themselves.
func ofProxies(name string) bool {
	return name == "x-forwarded-client-cert" || strings.HasPrefix(name, "x-envoy-")
}

// lineOfText refuses what cannot stand in a header.
func (l *linker) lineOfText(here place, value string, pos source.Position) bool {
	if len(value) > maxHeaderValue {
		l.add(diag.OutOfRange, here, fmt.Sprintf("the value has %d bytes, and a proxy writes at most %d", len(value),
			maxHeaderValue), pos)
		return false
	}
	if !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return true
	}
	l.add(diag.BadFormat, here, fmt.Sprintf("the value %q has a control character", value), pos).
		hint("a header's value is one line of text")
	return false
}
