package envoy

import (
	"testing"

	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
)

// A cluster that keeps the case of headers has all else of HTTP/1.1 as other clusters have it.
func TestCaseIsAllThatDiffers(t *testing.T) {
	o := &httpv3.HttpProtocolOptions{}
	(&builder{}).keepsCase(o)
	got := o.GetExplicitHttpConfig().GetHttpProtocolOptions()
	if got.GetHeaderKeyFormat() == nil {
		t.Error("the case is not kept")
	}
	got.HeaderKeyFormat = nil
	if want := http1Upstream(); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
