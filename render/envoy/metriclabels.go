package envoy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"
	transformstatv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/actions/transform_stat/v3"
	inputstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/stats/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/ir"
)

// What the metadata of a cluster says besides where it was written: whom it stands for.
const (
	metadataCallee  = "callee"
	metadataPort    = "port"
	metadataVersion = "version"
)

// peerIdentity is the SPIFFE ID in the peer's certificate, of which [builder.oneIdentity] has made sure that it is
// one; nothing without a certificate.
const peerIdentity = "%DOWNSTREAM_PEER_URI_SAN%"

// calleeOf is how metrics name a service.
func calleeOf(u *ir.Upstream) string { return u.QualifiedName() }

func portLabel(port *ir.Port) string { return strconv.Itoa(int(port.Number)) }

// standsFor has a cluster say whom it stands for.
func standsFor(c *clusterv3.Cluster, callee string, port *ir.Port, version string) {
	if c.Metadata == nil {
		c.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
	}
	said := c.Metadata.FilterMetadata[metadataNamespace]
	if said == nil {
		said = &structpb.Struct{Fields: map[string]*structpb.Value{}}
		c.Metadata.FilterMetadata[metadataNamespace] = said
	}
	said.Fields[metadataCallee] = structpb.NewStringValue(callee)
	said.Fields[metadataPort] = structpb.NewStringValue(portLabel(port))
	if version != "" {
		said.Fields[metadataVersion] = structpb.NewStringValue(version)
	}
}

func clusterSays(key string) string {
	return "%METADATA(CLUSTER:" + metadataNamespace + ":" + key + ")%"
}

func tag(name, format string) *statsv3.Config_Tag {
	return &statsv3.Config_Tag{Name: name, ValueFormat: format}
}

// edgeTags are who calls whom, on which port.
func (b *builder) edgeTags(m measured) []*statsv3.Config_Tag {
	return slices.Clip([]*statsv3.Config_Tag{b.callerTag(m), tag("callee", m.callee), tag("server.port", m.port)})
}

// decisionTags are what decided: the route with its place in the spec and the version that it led to, or the rule.
func (b *builder) decisionTags(m measured) []*statsv3.Config_Tag {
	switch m.kind {
	case clientHTTP:
		return []*statsv3.Config_Tag{
			tag("service.version", clusterSays(metadataVersion)), tag("http.route", "%ROUTE_NAME%"),
			tag("source", "%METADATA(ROUTE:"+metadataNamespace+":"+metadataSource+")%"),
		}
	case clientTCP:
		return []*statsv3.Config_Tag{tag("service.version", clusterSays(metadataVersion))}
	}
	return ruleTags(m)
}

// failureTags are those of what failed: the edge, and the rule that decided.
func (b *builder) failureTags(m measured) []*statsv3.Config_Tag {
	return append(b.edgeTags(m), ruleTags(m)...)
}

func ruleTags(m measured) []*statsv3.Config_Tag {
	if m.rules == "" {
		return nil
	}
	return []*statsv3.Config_Tag{tag("rule", "%DYNAMIC_METADATA("+m.rules+":"+decidingRule+")%")}
}

// flagsInWords are Envoy's response flags, in words; "-" for none.
const flagsInWords = "%RESPONSE_FLAGS_LONG%"

// errorType is why a request failed.
func errorType() *statsv3.Config_Tag { return tag("error.type", flagsInWords) }

// statusClass is the class of a status, "none" for a request without one: an application can choose any of 900
// statuses.
func (b *builder) statusClass() *statsv3.Config_Tag {
	classes := map[string]string{}
	for _, digit := range []string{"1", "2", "3", "4", "5"} {
		classes[digit] = digit + "xx"
	}
	return b.mapped("http.response.status_class", "%RESPONSE_CODE%", classes, become("none"))
}

// callerTag has one value for all callers of a wildcard of another trust domain, which signs as many identities as it
// likes.
func (b *builder) callerTag(m measured) *statsv3.Config_Tag {
	if len(m.callers) == 0 {
		return tag("caller", m.caller)
	}
	wildcards := map[string]string{}
	for _, pattern := range m.callers {
		wildcards[strings.TrimSuffix(pattern, "*")] = pattern
	}
	return b.mapped("caller", m.caller, wildcards, nil)
}

// become has a tag that value.
func become(value string) *transformstatv3.TransformStat {
	return &transformstatv3.TransformStat{UpdateTag: &transformstatv3.TransformStat_UpdateTag{NewTagValue: value}}
}

// mapped is a tag whose values that begin with a key become that key's. The rest is done with others; they stay for
// nil.
func (b *builder) mapped(name, format string, values map[string]string,
	rest *transformstatv3.TransformStat,
) *statsv3.Config_Tag {
	return b.translated(name, format, rest, &xdsmatcherv3.Matcher_MatcherTree{
		TreeType: &xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap{PrefixMatchMap: b.becoming(values)},
	})
}

// exactly is a tag whose values that are a key become that key's; what has another value is not counted.
func (b *builder) exactly(name, format string, values map[string]string) *statsv3.Config_Tag {
	return b.translated(name, format, notCounted(), &xdsmatcherv3.Matcher_MatcherTree{
		TreeType: &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{ExactMatchMap: b.becoming(values)},
	})
}

// notCounted has what has such a tag not counted.
func notCounted() *transformstatv3.TransformStat {
	return &transformstatv3.TransformStat{DropStat: &transformstatv3.TransformStat_DropStat{}}
}

// becoming has a tag become the value of the key that it matches.
func (b *builder) becoming(values map[string]string) *xdsmatcherv3.Matcher_MatcherTree_MatchMap {
	out := &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: map[string]*xdsmatcherv3.Matcher_OnMatch{}}
	for key, value := range values {
		out.Map[key] = b.matching(value, become(value))
	}
	return out
}

func (b *builder) matching(name string, does *transformstatv3.TransformStat) *xdsmatcherv3.Matcher_OnMatch {
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
		Action: &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: b.any(does)},
	}}
}

// translated is a tag whose values a tree changes, and the rest those that it does not match.
func (b *builder) translated(name, format string, rest *transformstatv3.TransformStat,
	tree *xdsmatcherv3.Matcher_MatcherTree,
) *statsv3.Config_Tag {
	tree.Input = &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: b.any(&inputstatsv3.StatTagValueInput{})}
	m := &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: tree}}
	if rest != nil {
		m.OnNoMatch = b.matching(cmp.Or(rest.GetUpdateTag().GetNewTagValue(), "none"), rest)
	}
	out := tag(name, format)
	out.Rules = m
	return out
}
