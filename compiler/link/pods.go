package link

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// inPods links how proxies run in pods.
func (l *linker) inPods(here place, p *spec.Proxy, proxy *ir.Proxy) {
	proxy.Image = p.Image.Or(proxy.Image)
	proxy.Concurrency = uint16(p.Concurrency.Or(int(proxy.Concurrency)))
	proxy.LogLevel = p.LogLevel.Or(proxy.LogLevel)
	l.ownKeys(here.field("podLabels"), p.PodLabels)
	l.ownKeys(here.field("podAnnotations"), p.PodAnnotations)
	proxy.PodLabels = over(proxy.PodLabels, texts(p.PodLabels))
	proxy.PodAnnotations = over(proxy.PodAnnotations, texts(p.PodAnnotations))
	if p.Resources == nil {
		return
	}
	amounts(&proxy.Resources.Requests, p.Resources.Requests)
	amounts(&proxy.Resources.Limits, p.Resources.Limits)
	r := proxy.ResourcesInForce()
	for _, of := range []struct{ field, request, limit string }{
		{"cpu", r.Requests.CPU, r.Limits.CPU}, {"memory", r.Requests.Memory, r.Limits.Memory},
	} {
		if of.limit != "" && quantity(of.request) > quantity(of.limit) {
			l.add(diag.OutOfRange, here.field("resources"),
				fmt.Sprintf("the proxy requests %s of %s, and its limit is %s: Kubernetes would refuse its pods",
					of.request, of.field, of.limit), here.pos(p.Resources.Pos)).
				hint("limits: %s: %q", of.field, of.request)
		}
	}
}

// over is the first map with the values of the second on top, in a map of its own.
func over(below, above map[string]string) map[string]string {
	if len(above) == 0 {
		return below
	}
	out := make(map[string]string, len(below)+len(above))
	maps.Copy(out, below)
	maps.Copy(out, above)
	return out
}

func amounts(to *ir.Amounts, from *spec.ProxyAmounts) {
	if from != nil {
		to.CPU, to.Memory = from.CPU.Or(to.CPU), from.Memory.Or(to.Memory)
	}
}

// quantity is an amount that the schema lets through: of memory in bytes, of CPU time in thousandths of a processor.
func quantity(text string) int64 {
	unit := int64(1000)
	for suffix, of := range map[string]int64{"m": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30} {
		if number, has := strings.CutSuffix(text, suffix); has {
			text, unit = number, of
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0 // the schema has refused it
	}
	return n * unit
}

// ofPods finds fields about pods in a member that has none.
func (l *linker) ofPods(here place, why string, p *spec.Proxy) {
	if p == nil {
		return
	}
	var resources spec.Pos
	if p.Resources != nil {
		resources = p.Resources.Pos
	}
	var carried [2]spec.Pos
	for i, of := range []map[string]spec.Field[string]{p.PodLabels, p.PodAnnotations} {
		for _, key := range sortedKeys(of)[:min(1, len(of))] {
			carried[i] = of[key].Pos
		}
	}
	for _, f := range []struct {
		name, instead string
		written       bool
		pos           spec.Pos
	}{
		{"image", "remove it", p.Image.IsSet(), p.Image.Pos},
		{"concurrency", "remove it, and start Envoy with --concurrency", p.Concurrency.IsSet(), p.Concurrency.Pos},
		{"logLevel", "remove it, and start Envoy with --log-level", p.LogLevel.IsSet(), p.LogLevel.Pos},
		{"resources", "remove it", p.Resources != nil, resources},
		{"podLabels", "remove it", p.PodLabels != nil, carried[0]},
		{"podAnnotations", "remove it", p.PodAnnotations != nil, carried[1]},
	} {
		if f.written {
			l.add(diag.NoEffect, here.field("proxy."+f.name), fmt.Sprintf("%s cannot take effect: %s", f.name, why),
				here.pos(f.pos)).
				hint("%s", f.instead)
		}
	}
}
