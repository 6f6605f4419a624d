package link

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// The defaults of mesh, as the schema's comments give them.
const (
	meshcRepository   = "ghcr.io/meshc/meshc"
	defaultEnvoyImage = "docker.io/envoyproxy/envoy:v1.40.0"
	defaultLifetime   = ir.Duration(24 * time.Hour)

	minLifetime = ir.Duration(10 * time.Second) // of a certificate

	maxMeshName = 63 - len("-system")
)

// settings makes the mesh's own settings; mesh must come out the same in every
// unit. It reports whether there are any.
func (l *linker) settings(units []*spec.Unit) bool {
	var first *spec.Unit
	for _, u := range units {
		switch {
		case u.Mesh == nil:
			continue
		case first == nil:
			first = u
		case !saying.Values(reflect.ValueOf(first.Mesh), reflect.ValueOf(u.Mesh)):
			path, a, b := difference("mesh", reflect.ValueOf(first.Mesh), reflect.ValueOf(u.Mesh), first.Mesh.Pos,
				u.Mesh.Pos)
			l.add(diag.MeshDiffers, place{u, path}, fmt.Sprintf("%s is not the same in every unit", path), u.At(b),
				first.At(a)).
				hint("mesh holds for all units: write it only in the files of the root")
		}
	}
	if first == nil {
		return false
	}
	here := place{first, "mesh"}
	resolved := *first
	resolved.Mesh = named(l, here, "", first.Mesh)
	first = &resolved
	here.unit, l.root = first, first
	m := first.Mesh
	l.silence(here, m.Silence)
	l.owners(first, m.Owners)
	td, err := spiffeid.TrustDomainFromString(m.TrustDomain.Value)
	if err != nil || strings.Contains(m.TrustDomain.Value, "/") {
		l.add(diag.BadFormat, here.field("trustDomain"),
			fmt.Sprintf("trustDomain is %q, which is not a valid SPIFFE trust domain", m.TrustDomain.Value),
			here.pos(m.TrustDomain.Pos)).
			hint("lower case letters, digits, dots, dashes and underscores")
		td = spiffeid.RequireTrustDomainFromString("invalid")
	}
	if len(m.Name.Value) > maxMeshName {
		l.add(diag.BadFormat, here.field("name"),
			fmt.Sprintf("name is %q, and %s-system would be longer than a namespace may be", m.Name.Value,
				m.Name.Value), here.pos(m.Name.Pos)).
			hint("at most %d characters", maxMeshName)
	}
	l.trustDomain = td
	l.mesh.Settings = ir.Settings{
		Name:          m.Name.Value,
		TrustDomain:   td.Name(),
		ClusterDomain: clusterDomain(m.ClusterDomain),
		Delivery:      ir.Delivery(m.Delivery.Or(string(ir.DeliveryXDS))),
		Images:        ir.Images{Meshc: meshcRepository + ":" + l.release, Envoy: defaultEnvoyImage},
		Pos:           here.pos(m.Pos),
	}
	if m.Images != nil {
		l.mesh.Images = ir.Images{
			Meshc: m.Images.Meshc.Or(l.mesh.Images.Meshc),
			Envoy: m.Images.Envoy.Or(defaultEnvoyImage),
		}
	}
	if d := m.Defaults; d != nil {
		l.mesh.Defaults = l.traffic(here.field("defaults"), d.Traffic())
	}
	l.certificates(first)
	l.flux(first)
	l.rateLimitService(first, m.RateLimit)
	l.trustDomains(first)
	l.jwtIssuers(first)
	l.externalAuthorization(first)
	l.telemetry(first)
	if m.Limits != nil {
		l.mesh.MaxAttempts = countSetting(here, m.Limits.Attempts)
		l.mesh.MaxSeries = countSetting(here, m.Limits.Series)
	}
	l.metrics(here, m.Telemetry)
	l.proxy = l.mesh.DefaultProxy()
	l.proxy.MetricsPort = metricsPort(l.proxy.MetricsPort, m.Telemetry)
	if t := m.Telemetry; m.Proxy == nil && t != nil && t.Metrics != nil {
		l.differentPorts(here.field("telemetry.metrics.port"), here.pos(t.Metrics.Port.Pos), &l.proxy)
	}
	l.proxy = l.proxyOf(here.field("proxy"), m.Proxy)
	l.proxy.Requests.Pos = source.Position{}
	return true
}

// difference finds the first field in which two parts of a spec differ, and
// where each of them has it.
func difference(path string, a, b reflect.Value, posA, posB spec.Pos) (string, spec.Pos, spec.Pos) {
	for a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil() {
		a, b = a.Elem(), b.Elem()
	}
	if a.Kind() != reflect.Struct {
		return path, posA, posB
	}
	if p := a.FieldByName("Pos"); p.IsValid() {
		posA, posB = later(posA, p), later(posB, b.FieldByName("Pos"))
	}
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("cue")
		if name != "" && !saying.Values(a.Field(i), b.Field(i)) {
			return difference(path+"."+name, a.Field(i), b.Field(i), posA, posB)
		}
	}
	return path, posA, posB
}

func later(pos spec.Pos, field reflect.Value) spec.Pos {
	if p := spec.Pos(field.Uint()); p != 0 {
		return p
	}
	return pos
}

func (l *linker) flux(u *spec.Unit) {
	here, f := place{u, "mesh.flux"}, u.Mesh.Flux
	if f == nil {
		return
	}
	l.mesh.Flux = &ir.Flux{
		URL: f.URL.Value, Branch: f.Branch.Or("main"), Tag: f.Tag.Value, Path: f.Path.Or("./"),
		Interval: ir.Duration(time.Minute), Namespace: f.Namespace.Or("flux-system"), Pos: here.pos(f.Pos),
	}
	if strings.HasPrefix(f.URL.Value, "oci://") && !f.Tag.IsSet() {
		l.add(diag.MissingField, here.field("tag"), "an OCI artifact needs a tag", here.pos(f.Pos)).
			hint(`tag: "prod", as it is pushed: meshc push %s:prod`, f.URL.Value)
	}
	if v := f.Verify; v != nil {
		l.mesh.Flux.VerifySecret = v.Secret.Value
		if !strings.HasPrefix(f.URL.Value, "oci://") {
			l.add(diag.NoEffect, here.field("verify"),
				"verify cannot take effect: it is for OCI artifacts, and this is a Git repository", here.pos(v.Pos),
				here.pos(f.URL.Pos)).
				hint("remove it, or push to an OCI registry: meshc push")
		}
	}
	if f.Interval.IsSet() {
		l.mesh.Flux.Interval = l.duration(here.field("interval"), f.Interval)
	}
}

// Silences are the warnings that the spec turns off, by the path of the part of
// the mesh that says so.
type Silences map[string]map[diag.Code]bool

// Covers reports whether a warning is turned off.
func (s Silences) Covers(d diag.Diagnostic) bool {
	if d.Severity != diag.Warning {
		return false
	}
	if s["mesh"][d.Code] {
		return true
	}
	for path, codes := range s {
		if codes[d.Code] && (d.Path == path || strings.HasPrefix(d.Path, path+".")) {
			return true
		}
	}
	return false
}

func (l *linker) silence(here place, s spec.Silence) {
	for _, name := range sortedKeys(s) {
		code := diag.Code(name)
		if code.Severity() != diag.Warning {
			l.add(diag.BadSilence, here.field("silence."+name),
				fmt.Sprintf("%s is not a warning and cannot be silenced", code), here.pos(s[name].Pos)).
				hint("meshc explain lists the codes")
			continue
		}
		if l.silences[here.path] == nil {
			l.silences[here.path] = map[diag.Code]bool{}
		}
		l.silences[here.path][code] = true
		l.mesh.Silences = append(l.mesh.Silences, ir.Silence{
			At: here.path, Code: name, Reason: s[name].Value,
			Pos: here.pos(s[name].Pos),
		})
	}
}

func (l *linker) duration(here place, f spec.Field[string]) ir.Duration {
	d, err := time.ParseDuration(f.Value)
	switch {
	case err != nil || d > 10*365*24*time.Hour:
		l.add(diag.OutOfRange, here, fmt.Sprintf("%s is %q, which is longer than ten years", here.name(), f.Value),
			here.pos(f.Pos))
		return 0
	case d < time.Millisecond:
		l.add(diag.NoTime, here, fmt.Sprintf("%s is %q, and the shortest time is 1ms", here.name(), f.Value),
			here.pos(f.Pos)).
			hint(`"1ms" or more`)
	case d%time.Millisecond != 0:
		l.add(diag.OutOfRange, here, fmt.Sprintf("%s is %q, and times are counted in whole milliseconds", here.name(),
			f.Value), here.pos(f.Pos))
	}
	return ir.Duration(d)
}

// wholeSeconds is a time that is told others in seconds.
func (l *linker) wholeSeconds(here place, f spec.Field[string]) ir.Duration {
	d := l.duration(here, f)
	if time.Duration(d)%time.Second != 0 {
		l.add(diag.OutOfRange, here, fmt.Sprintf("%s is %q, and is counted in whole seconds", here.name(), f.Value),
			here.pos(f.Pos))
	}
	return d
}

func setting[T any](here place, value T, pos spec.Pos) *ir.Setting[T] {
	return &ir.Setting[T]{Value: value, Pos: here.pos(pos)}
}
