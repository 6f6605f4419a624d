package envoy

import (
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	networkinputsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	sslv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/ssl/v3"
	runtimefractionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/ir"
)

// A revocation ends connections that are open, and no others, without a change of a listener: a filter asks Envoy's
// runtime, which meshc serve sets, each time something comes over a connection
// (docs/decisions/0032-revocations-by-the-runtime.md).
const (
	// RevokedLayer is the layer of the runtime that has the newest revocations. In the metadata of a node it says that
	// the proxy has the layer.
	RevokedLayer = "meshc.revoked"
	// LiveRevocations is how many revocations the layer has room for.
	LiveRevocations = 4

	// RevokedFilter is the filter, and the resource that says what it refuses.
	RevokedFilter = networkRevokedFilter + ".live"

	runtimeMatcher = "envoy.matching.matchers.runtime_fraction"
	inputs         = "envoy.matching.inputs."
	uriSAN         = "uri_san"
	subject        = "subject"
	// hashes is how many values a hash of the runtime can have.
	hashes = 1_000_000
)

// A proxy that reads HTTP/2 asks its caller to answer a PING so often, and closes a connection that does not answer.
// So something comes over every connection.
const (
	pingInterval = 3 * time.Second
	pingTimeout  = 15 * time.Second
)

// hashSeeds are those of the two hashes of a name that the runtime is asked for. Two names have the same ones with a
// probability of 10⁻¹².
var hashSeeds = []uint64{1, 2}

// revocable reports whether certificates of callers can be revoked, and a server can tell the proxy.
func (b *builder) revocable() bool {
	s := b.scope.Settings
	return s.Certificates.Issuer.Kind == ir.IssuerEmbedded && s.Delivery != ir.DeliveryStatic && !b.proxyless
}

// liveFilter closes connections whose certificate was revoked, as soon as something comes over them. What it refuses
// comes by discovery too, the same for all listeners and proxies ([RevokedRules]), and holds for new connections.
func (b *builder) liveFilter() []*listenerv3.Filter {
	if !b.revocable() {
		return nil
	}
	return []*listenerv3.Filter{{
		Name: RevokedFilter,
		ConfigType: &listenerv3.Filter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
			ConfigSource: ads(), TypeUrls: []string{resource.APITypePrefix + string((&networkrbacv3.RBAC{}).
					ProtoReflect().Descriptor().FullName())},
		}},
	}}
}

// RevokedRules is what [RevokedFilter] does: it refuses new connections with certificates that were revoked, and ends
// those that are open of which the runtime tells.
func RevokedRules(list []Revoked) (*corev3.TypedExtensionConfig, error) {
	b := &builder{}
	config := b.any(b.revokedRules(list))
	return &corev3.TypedExtensionConfig{Name: RevokedFilter, TypedConfig: config}, b.err
}

func (b *builder) revokedRules(list []Revoked) *networkrbacv3.RBAC {
	var slots []*xdsmatcherv3.Matcher_MatcherList_Predicate
	for slot := range LiveRevocations {
		slots = append(slots, b.hasHashes(slot, uriSAN, &sslv3.UriSanInput{}),
			b.hasHashes(slot, subject, &sslv3.SubjectInput{}))
	}
	some := b.belowRuntime("destination_port", &networkinputsv3.DestinationPortInput{}, RevokedLayer, hashSeeds[0])
	refused := b.judgement(rbacconfigv3.RBAC_DENY, revokedPolicy)
	identities, chains := map[string]*xdsmatcherv3.Matcher_OnMatch{}, map[string]*xdsmatcherv3.Matcher_OnMatch{}
	for _, r := range list {
		if r.Chain == "" {
			identities[r.Identity.String()] = refused
		} else {
			chains[commonName(r.Chain)] = refused
		}
	}
	rest := b.judgement(rbacconfigv3.RBAC_ALLOW, "not revoked")
	rest = b.oneOf(uriSAN, &sslv3.UriSanInput{}, identities, rest)
	rest = b.oneOf(subject, &sslv3.SubjectInput{}, chains, rest)
	return &networkrbacv3.RBAC{
		StatPrefix:      "revoked",
		EnforcementType: networkrbacv3.RBAC_CONTINUOUS,
		Matcher: &xdsmatcherv3.Matcher{
			MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: &xdsmatcherv3.Matcher_MatcherList{
				Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
					Predicate: allMatch(some, anyMatch(slots)), OnMatch: refused,
				}},
			}},
			OnNoMatch: rest,
		},
	}
}

// oneOf is what happens to a connection whose certificate has one of the names, and otherwise the rest.
func (b *builder) oneOf(kind string, input proto.Message, names map[string]*xdsmatcherv3.Matcher_OnMatch,
	rest *xdsmatcherv3.Matcher_OnMatch,
) *xdsmatcherv3.Matcher_OnMatch {
	if len(names) == 0 {
		return rest
	}
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{
		Matcher: &xdsmatcherv3.Matcher{
			MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: &xdsmatcherv3.Matcher_MatcherTree{
				Input: &xdscorev3.TypedExtensionConfig{Name: inputs + kind, TypedConfig: b.any(input)},
				TreeType: &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{
					ExactMatchMap: &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: names},
				},
			}},
			OnNoMatch: rest,
		},
	}}
}

// commonName is the subject of the certificates of a chain.
func commonName(chain string) string { return "CN=" + chain }

// pings has a connection manager ask its callers for a sign of life, so that the filter is asked too.
func (b *builder) pings(m *hcmv3.HttpConnectionManager) {
	if b.revocable() {
		m.Http2ProtocolOptions.ConnectionKeepalive = &corev3.KeepaliveSettings{
			Interval: durationpb.New(pingInterval), Timeout: durationpb.New(pingTimeout),
		}
	}
}

// RevokedRuntime is the layer for revocations, the newest first, of which it takes as many as it has room for.
func RevokedRuntime(list []Revoked) *structpb.Struct {
	layer := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	if len(list) == 0 {
		return layer
	}
	layer.Fields[RevokedLayer] = share(100, "HUNDRED")
	for slot, r := range list[:min(len(list), LiveRevocations)] {
		name := r.Identity.String()
		if r.Chain != "" {
			name = commonName(r.Chain)
		}
		for _, seed := range hashSeeds {
			hash := xxhash.NewWithSeed(seed)
			_, _ = hash.WriteString(name)
			value := float64(hash.Sum64() % hashes)
			layer.Fields[slotKey(slot, seed, "from")] = share(value, "MILLION")
			layer.Fields[slotKey(slot, seed, "to")] = share(value+1, "MILLION")
		}
	}
	return layer
}

func share(numerator float64, denominator string) *structpb.Value {
	return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"numerator": structpb.NewNumberValue(numerator), "denominator": structpb.NewStringValue(denominator),
	}})
}

// slotKey is the key of the runtime for a bound of the hash of a revocation's name.
func slotKey(slot int, seed uint64, bound string) string {
	return fmt.Sprintf("%s.%d.%d.%s", RevokedLayer, slot, seed, bound)
}

// hasHashes matches names whose hashes are those of a slot.
func (b *builder) hasHashes(slot int, kind string, input proto.Message) *xdsmatcherv3.Matcher_MatcherList_Predicate {
	var all []*xdsmatcherv3.Matcher_MatcherList_Predicate
	for _, seed := range hashSeeds {
		all = append(all, b.belowRuntime(kind, input, slotKey(slot, seed, "to"), seed),
			&xdsmatcherv3.Matcher_MatcherList_Predicate{
				MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher{
					NotMatcher: b.belowRuntime(kind, input, slotKey(slot, seed, "from"), seed),
				},
			})
	}
	return allMatch(all...)
}

// belowRuntime matches names whose hash is below what the runtime says; none where it says nothing.
func (b *builder) belowRuntime(kind string, input proto.Message, key string, seed uint64,
) *xdsmatcherv3.Matcher_MatcherList_Predicate {
	return &xdsmatcherv3.Matcher_MatcherList_Predicate{
		MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{
			SinglePredicate: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
				Input: &xdscorev3.TypedExtensionConfig{Name: inputs + kind, TypedConfig: b.any(input)},
				Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{
					CustomMatch: &xdscorev3.TypedExtensionConfig{
						Name: runtimeMatcher, TypedConfig: b.any(&runtimefractionv3.RuntimeFraction{
							RuntimeFraction: &corev3.RuntimeFractionalPercent{
								DefaultValue: &typev3.FractionalPercent{}, RuntimeKey: key,
							},
							Seed: seed,
						}),
					},
				},
			},
		},
	}
}

func allMatch(list ...*xdsmatcherv3.Matcher_MatcherList_Predicate) *xdsmatcherv3.Matcher_MatcherList_Predicate {
	return &xdsmatcherv3.Matcher_MatcherList_Predicate{
		MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher{
			AndMatcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: list},
		},
	}
}

func anyMatch(list []*xdsmatcherv3.Matcher_MatcherList_Predicate) *xdsmatcherv3.Matcher_MatcherList_Predicate {
	return &xdsmatcherv3.Matcher_MatcherList_Predicate{
		MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_OrMatcher{
			OrMatcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: list},
		},
	}
}

// judgement is what a filter of rules does with what matches.
func (b *builder) judgement(action rbacconfigv3.RBAC_Action, name string) *xdsmatcherv3.Matcher_OnMatch {
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
		Action: &xdscorev3.TypedExtensionConfig{
			Name: name, TypedConfig: b.any(&rbacconfigv3.Action{Name: name, Action: action}),
		},
	}}
}

// revokedRuntime has a proxy ask for the layer.
func (b *builder) revokedRuntime(boot *bootstrapv3.Bootstrap) {
	if !b.revocable() {
		return
	}
	boot.Node.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{
		RevokedLayer: structpb.NewBoolValue(true),
	}}
	source := ads()
	source.InitialFetchTimeout = durationpb.New(time.Second)
	boot.LayeredRuntime.Layers = append(boot.LayeredRuntime.Layers, &bootstrapv3.RuntimeLayer{
		Name: RevokedLayer,
		LayerSpecifier: &bootstrapv3.RuntimeLayer_RtdsLayer_{RtdsLayer: &bootstrapv3.RuntimeLayer_RtdsLayer{
			Name: RevokedLayer, RtdsConfig: source,
		}},
	})
}
