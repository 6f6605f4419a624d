package envoy

import (
	"slices"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// asWritten has a connection manager leave paths as they are, for requests that go to externals alone: no rule and no route reads
// them, and "/b//k" is another object than "/b/k" there.
func asWritten(m *hcmv3.HttpConnectionManager) {
	m.NormalizePath, m.MergeSlashes = wrapperspb.Bool(false), false
	m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_KEEP_UNCHANGED
	m.HttpFilters = slices.DeleteFunc(m.HttpFilters, func(f *hcmv3.HttpFilter) bool { return f.Name == httpPathFilter })
	m.LocalReplyConfig.Mappers = nil // they are of paths
}
