package envoy

import (
	"fmt"
	"slices"
	"strconv"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/ir"
)

const celLogFilter = "envoy.access_loggers.extension_filters.cel"

// metadataLogged is in the metadata of a route which of its requests are logged, where it says so itself.
const metadataLogged = "logged"

// tellLogged has a route say which of its requests are logged.
func tellLogged(out *routev3.Route, by []*ir.Route) {
	logged := nearest(by, func(r *ir.Route) *ir.Logged { return r.Logged })
	if logged == nil {
		return
	}
	if out.Metadata == nil {
		out.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
	}
	said := out.Metadata.FilterMetadata[metadataNamespace]
	if said == nil {
		said = &structpb.Struct{Fields: map[string]*structpb.Value{}}
		out.Metadata.FilterMetadata[metadataNamespace] = said
	}
	said.Fields[metadataLogged] = structpb.NewStringValue(loggedLabel(logged))
}

// loggedLabel is what a route's metadata says: "all", "sampled 5".
func loggedLabel(l *ir.Logged) string {
	if l.When != ir.LogSampled {
		return string(l.When)
	}
	return string(l.When) + " " + strconv.FormatFloat(l.Percent, 'g', -1, 64)
}

// labelled is what a label says.
func labelled(label string) *ir.Logged {
	out := &ir.Logged{When: ir.LogWhen(label)}
	if n, err := fmt.Sscanf(label, string(ir.LogSampled)+" %g", &out.Percent); n == 1 && err == nil {
		out.When = ir.LogSampled
	}
	return out
}

// loggedBy passes the requests that are logged: by what their route says, and of those without such a route by what the
// log does; some is false where none is. Envoy's access logs are the listener's, not the route's: where routes say
// something, a filter reads the route's metadata.
func (b *builder) loggedBy(log *ir.AccessLog, m measured, hosts []*routev3.VirtualHost,
) (f *accesslogv3.AccessLogFilter, some bool) {
	failed := func() *accesslogv3.AccessLogFilter { return failedRequests(m) }
	labels := labelsOf(hosts)
	others, some := loggedWhen(&log.Logged, failed)
	if len(labels) == 0 {
		return others, some
	}
	var ways []*accesslogv3.AccessLogFilter
	if some {
		ways = append(ways, thatAlso(b.expression(saysNothing), others))
	}
	for _, label := range labels {
		if its, any := loggedWhen(labelled(label), failed); any {
			ways = append(ways, thatAlso(b.expression(fmt.Sprintf("%s == %q", routeSays, label)), its))
		}
	}
	switch len(ways) {
	case 0:
		return nil, false
	case 1:
		return ways[0], true
	}
	return anyFilter(ways...), true
}

// What the metadata of the route says, in CEL. An expression that fails is false: so whether there is a route, and
// whether it says something, is asked first.
const (
	routeSays   = "xds.route_metadata.filter_metadata['" + metadataNamespace + "']['" + metadataLogged + "']"
	saysNothing = "!has(xds.route_metadata) || !('" + metadataNamespace + "' in xds.route_metadata.filter_metadata)" +
		" || !('" + metadataLogged + "' in xds.route_metadata.filter_metadata['" + metadataNamespace + "'])"
)

func (b *builder) expression(cel string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslogv3.ExtensionFilter{
			Name: celLogFilter, ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{
				TypedConfig: b.any(&celv3.ExpressionFilter{Expression: cel}),
			},
		},
	}}
}

// thatAlso passes what passes two filters, of which the second may be none.
func thatAlso(a, b *accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	if b == nil {
		return a
	}
	return everyFilter(a, b)
}

// labelsOf are those of all routes, each once, sorted.
func labelsOf(hosts []*routev3.VirtualHost) []string {
	var out []string
	for _, host := range hosts {
		for _, route := range host.Routes {
			said := route.GetMetadata().GetFilterMetadata()[metadataNamespace].GetFields()[metadataLogged]
			if said != nil {
				out = append(out, said.GetStringValue())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
