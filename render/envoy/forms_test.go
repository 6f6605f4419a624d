package envoy

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

// A cluster that keeps the case of headers has all else of HTTP/1.1 as other clusters have it.
func TestCaseIsAllThatDiffers(t *testing.T) {
	got := (&builder{}).http1Towards(true)
	if got.GetHeaderKeyFormat() == nil {
		t.Error("the case is not kept")
	}
	got.HeaderKeyFormat = nil
	if want := http1Upstream(); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
