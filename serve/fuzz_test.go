package serve_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// verbatim sends bytes as they are, so that the server is what reads them first.
type verbatim struct{}

func (verbatim) Name() string { return "proto" }

func (verbatim) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (verbatim) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

// FuzzADS has cart's proxy say anything at all, in messages that each begin with their
// length: the server goes on, and tells it nothing of frontend's.
func FuzzADS(f *testing.F) {
	message := func(list ...proto.Message) []byte {
		var out []byte
		for _, m := range list {
			data, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			out = protowire.AppendBytes(out, data)
		}
		return out
	}
	f.Add(true, message(
		&discoveryv3.DeltaDiscoveryRequest{Node: node("service/cart/a"), TypeUrl: clusterType},
		&discoveryv3.DeltaDiscoveryRequest{TypeUrl: secretType, ResourceNamesSubscribe: []string{"trust"}, InitialResourceVersions: map[string]string{"trust": "1"}},
		&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: "1", ResourceNamesUnsubscribe: []string{"*"}},
	))
	f.Add(false, message(
		&discoveryv3.DiscoveryRequest{Node: node("service/cart/a"), TypeUrl: listenerType},
		&discoveryv3.DiscoveryRequest{TypeUrl: routeType, ResourceNames: []string{"inbound|http", "outbound|8081"}, VersionInfo: "1"},
	))
	f.Add(true, message(&discoveryv3.DeltaDiscoveryRequest{Node: node("service/frontend/a"), TypeUrl: clusterType}))
	f.Add(true, []byte{3, 0xff, 0xff, 0xff})

	r := start(f)
	if err := r.SetMesh(compileSpec(f, spec)); err != nil {
		f.Fatal(err)
	}
	methods := map[bool]string{
		true:  discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName,
		false: discoveryv3.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName,
	}
	f.Fuzz(func(t *testing.T, incremental bool, data []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		conn := r.dial(t, "cart", time.Hour, grpc.WithDefaultCallOptions(grpc.ForceCodec(verbatim{})))
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
			methods[incremental])
		if err != nil {
			t.Fatal(err)
		}
		for len(data) > 0 {
			body, n := protowire.ConsumeBytes(data)
			if n < 0 {
				body, n = data, len(data)
			}
			data = data[n:]
			if stream.SendMsg(body) != nil {
				break // it was cut off
			}
		}
		// What it is to be told, it is told at once.
		time.AfterFunc(20*time.Millisecond, func() { _ = stream.CloseSend() })
		for {
			var answer []byte
			if stream.RecvMsg(&answer) != nil {
				break
			}
			told := resources(t, incremental, answer)
			for _, theirs := range []string{"outbound|8081", "cart.default|http", "frontend/a", "PRIVATE KEY"} {
				if strings.Contains(told, theirs) {
					t.Errorf("cart is told of %s", theirs)
				}
			}
		}
		if ctx.Err() != nil {
			t.Error("the server neither ends the stream nor lets it go")
		}
		if code, _ := fetch(t, r, "/healthz"); code != 200 {
			t.Errorf("the server is %d", code)
		}
	})
}

// resources are those of an answer. The type that it names besides is what was asked
// for, in the client's own words.
func resources(t *testing.T, incremental bool, answer []byte) string {
	t.Helper()
	if incremental {
		var sent discoveryv3.DeltaDiscoveryResponse
		if err := proto.Unmarshal(answer, &sent); err != nil {
			t.Errorf("an answer that is none: %v", err)
		}
		return fmt.Sprint(sent.Resources) // what is removed it has named itself
	}
	var sent discoveryv3.DiscoveryResponse
	if err := proto.Unmarshal(answer, &sent); err != nil {
		t.Errorf("an answer that is none: %v", err)
	}
	return fmt.Sprint(sent.Resources)
}
