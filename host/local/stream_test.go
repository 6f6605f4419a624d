package local

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Messages of gRPC go both ways at their own pace.
//
// Field: ports.protocol
func TestGRPCStreaming(t *testing.T) {
	conn, err := trafficMesh(t).As("client").GRPC("fault-grpc:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/shop.Chat/Talk")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // each answer comes before the next message is sent
		if err := stream.SendMsg(wrapperspb.String(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		var got wrapperspb.StringValue
		if err := stream.RecvMsg(&got); err != nil || !strings.Contains(got.Value, `"service":"fault-grpc"`) {
			t.Fatalf("message %d: %q, %v", i, got.Value, err)
		}
	}
	cancel()
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); status.Code(err) != codes.Canceled {
		t.Errorf("after it was cancelled: %v", err)
	}
}
