package serve_test

import (
	"fmt"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/serve"
)

// The list of an Envoy's extensions is left out of its requests, which are otherwise decoded as they were sent.
func TestExtensionsAreLeftOut(t *testing.T) {
	extensions := []*corev3.Extension{}
	for i := range 500 {
		extensions = append(extensions, &corev3.Extension{
			Name: fmt.Sprintf("envoy.filters.http.%d", i), Category: "envoy.filters.http",
		})
	}
	metadata, err := structpb.NewStruct(map[string]any{"meshc.revoked": true})
	if err != nil {
		t.Fatal(err)
	}
	describe := func(extensions []*corev3.Extension) *corev3.Node {
		return &corev3.Node{
			Id: "service/cart/a", Metadata: metadata, UserAgentName: "envoy", Extensions: extensions,
			ClientFeatures: []string{"envoy.lb.does_not_support_overprovisioning"},
		}
	}
	delta := func(n *corev3.Node) proto.Message {
		return &discoveryv3.DeltaDiscoveryRequest{
			Node: n, TypeUrl: clusterType, ResourceNamesSubscribe: []string{"cart.80"},
			InitialResourceVersions: map[string]string{"cart.80": "1"},
		}
	}
	all := func(n *corev3.Node) proto.Message {
		return &discoveryv3.DiscoveryRequest{Node: n, TypeUrl: clusterType, ResponseNonce: "1"}
	}
	for _, of := range []func(*corev3.Node) proto.Message{delta, all} {
		for _, node := range []*corev3.Node{describe(extensions), describe(nil), {}, nil} {
			sent, want := of(node), of(proto.CloneOf(node))
			if of := want.(interface{ GetNode() *corev3.Node }).GetNode(); of != nil {
				of.Extensions = nil
			}
			wire, err := proto.Marshal(sent)
			if err != nil {
				t.Fatal(err)
			}
			got := proto.Clone(sent)
			proto.Reset(got)
			if err := serve.NewCodec().Unmarshal(parts(wire), got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, want) {
				t.Errorf("%d bytes are decoded as\n%v\nwant\n%v", len(wire), got, want)
			}
			if len(wire) == 0 {
				continue
			}
			if err := serve.NewCodec().Unmarshal(parts(wire[:len(wire)-1]), got); err == nil {
				t.Errorf("a message of %d bytes is decoded without the last one", len(wire))
			}
		}
	}
}

// parts are a message in the pieces that a connection delivers.
func parts(wire []byte) (out mem.BufferSlice) {
	for len(wire) > 0 {
		n := min(len(wire), 4096)
		out = append(out, mem.SliceBuffer(wire[:n]))
		wire = wire[n:]
	}
	return out
}
