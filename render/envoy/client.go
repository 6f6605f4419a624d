package envoy

import (
	_ "embed"
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	httpstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	genericsecretv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/generic_secret/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// The filters that say which client of a gateway sends a request, and where they say it.
const (
	clientSecretsFilter = httpStateFilter + ".clients"
	clientFilter        = "envoy.filters.http.lua.clients"
	clientMetadata      = "meshc.client"
)

// The least bytes of secrets that Envoy is to take for some: what stands for a file that it has not read has fewer.
const (
	leastKey      = 16
	leastPassword = 8
)

// whichClient is the code of clientFilter.
//
//go:embed client.lua
var whichClient string

// knownClients are the filters that tell the rules of a listener which client sends a request, and answer 401 to keys
// and passwords that are nobody's. Envoy's own filters for both have secrets in their configuration, or read them once,
// so these compare with what Envoy reads from the files of secrets: the first has the values ready for the second.
func (b *builder) knownClients(l *ir.Listener) []*hcmv3.HttpFilter {
	g := b.scope.Gateway
	if len(g.Clients) == 0 {
		return nil
	}
	values := &httpstatev3.Config{}
	var secrets []any
	for i := range g.Clients {
		c := &g.Clients[i]
		for _, kind := range []struct {
			name   string
			values []ir.SecretValue
			least  int
		}{{"key", c.APIKeys, leastKey}, {"password", c.Passwords, leastPassword}} {
			for k := range kind.values {
				value := b.clientSecret(&kind.values[k])
				if !slices.ContainsFunc(values.OnRequestHeaders, func(known *statev3.FilterStateValue) bool {
					return known.GetObjectKey() == value.GetObjectKey()
				}) {
					values.OnRequestHeaders = append(values.OnRequestHeaders, value)
				}
				secrets = append(secrets, map[string]any{
					"client": c.Name, "kind": kind.name, "least": kind.least, "state": value.GetObjectKey(),
				})
			}
		}
	}
	challenge := fmt.Sprintf("ApiKey realm=%q", g.Name)
	if g.ByPassword() {
		challenge = fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", g.Name)
	}
	context, err := structpb.NewStruct(map[string]any{
		"header": g.APIKeyHeader, "passwords": g.ByPassword(), "required": g.WantsClient(l.Door()),
		"challenge": challenge, "metadata": clientMetadata, "secrets": secrets,
	})
	if b.err == nil {
		b.err = err
	}
	return []*hcmv3.HttpFilter{
		b.httpFilter(clientSecretsFilter, values),
		b.httpFilter(clientFilter, &luav3.Lua{
			DefaultSourceCode: inline([]byte(whichClient)), FilterContext: context, StatPrefix: "clients",
			ClearRouteCache: wrapperspb.Bool(false), // the route whose rules hold stays
		}),
	}
}

// clientSecret has the value of a secret ready during requests. Nothing logs or sends it.
func (b *builder) clientSecret(v *ir.SecretValue) *statev3.FilterStateValue {
	name := clientSecret(v)
	return &statev3.FilterStateValue{
		Key:         &statev3.FilterStateValue_ObjectKey{ObjectKey: name},
		FactoryKey:  "envoy.string",
		SkipIfEmpty: true,
		Value: &statev3.FilterStateValue_FormatString{FormatString: &corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_TextFormatSource{
				TextFormatSource: inline([]byte("%SECRET(value)%")),
			},
			OmitEmptyValues: true,
			Formatters: []*corev3.TypedExtensionConfig{{
				Name: "envoy.formatter.generic_secret",
				TypedConfig: b.any(&genericsecretv3.GenericSecret{SecretConfigs: map[string]*tlsv3.SdsSecretConfig{
					"value": b.secret(b.secretValue(name, v)),
				}}),
			}},
		}},
	}
}

// staticClientSecrets names secrets of the bootstrap in place of those that are sent.
func staticClientSecrets(m *hcmv3.HttpConnectionManager) error {
	for _, f := range m.HttpFilters {
		if f.Name != clientSecretsFilter {
			continue
		}
		err := replace(f.GetTypedConfig(), func(values *httpstatev3.Config) error {
			for _, v := range values.OnRequestHeaders {
				for _, formatter := range v.GetFormatString().Formatters {
					if err := replace(formatter.TypedConfig, func(s *genericsecretv3.GenericSecret) error {
						for _, from := range s.SecretConfigs {
							from.SdsConfig = nil
						}
						return nil
					}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isClient is the client of that name, as [builder.knownClients] has told.
func isClient(name string) *rbacconfigv3.Principal {
	return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_SourcedMetadata{
		SourcedMetadata: &rbacconfigv3.SourcedMetadata{MetadataMatcher: &matcherv3.MetadataMatcher{
			Filter: clientMetadata,
			Path: []*matcherv3.MetadataMatcher_PathSegment{
				{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: "name"}},
			},
			Value: &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{
				StringMatch: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}},
			}},
		}},
	}}
}
