package envoy

import (
	"net/http"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/compressor/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const compressorFilter = "envoy.filters.http.compressor"

// compressors compress the gateway's answers, each in the way of one algorithm; the
// first is used where a client takes several.
func (b *builder) compressors() []*hcmv3.HttpFilter {
	c := b.scope.Gateway.Compression
	if c == nil {
		return nil
	}
	libraries := map[string]proto.Message{"brotli": &brotliv3.Brotli{}, "gzip": &gzipv3.Gzip{}, "zstd": &zstdv3.Zstd{}}
	var out []*hcmv3.HttpFilter
	for i, algorithm := range c.Algorithms {
		out = append(out, b.httpFilter(join(compressorFilter, algorithm), &compressorv3.Compressor{
			CompressorLibrary: &corev3.TypedExtensionConfig{Name: algorithm, TypedConfig: b.any(libraries[algorithm])},
			ChooseFirst:       i == 0,
			ResponseDirectionConfig: &compressorv3.Compressor_ResponseDirectionConfig{
				// A part is of what the application has: the ranges that it names are not those of another encoding.
				UncompressibleResponseCodes: []uint32{http.StatusPartialContent},
				CommonConfig: &compressorv3.Compressor_CommonDirectionConfig{
					MinContentLength: wrapperspb.UInt32(c.MinBytes), ContentTypeMatcher: beginningWith(c.ContentTypes),
				},
			},
		}))
	}
	return out
}

// beginningWith leaves room for what follows a content type: "; charset=utf-8".
func beginningWith(types []string) []*matcherv3.StringMatcher {
	var out []*matcherv3.StringMatcher
	for _, t := range types {
		out = append(out, &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: t},
			IgnoreCase:   true,
		})
	}
	return out
}
