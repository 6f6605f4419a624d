package serve

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// codec decodes what clients send. An Envoy lists its 500 extensions when it says who it is. Nothing here asks for
// them, they take 140 KB, and the xDS library keeps them for as long as the stream lasts; so they are left out before
// the message is built.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Unmarshal is that of the codec within, but for requests that say who the client is.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	request, ok := v.(interface {
		proto.Message
		GetNode() *corev3.Node
	})
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	message := data.MaterializeToBuffer(mem.NopBufferPool{}) // a pool would clear 1 MiB for 60 KB
	defer message.Free()
	node := request.ProtoReflect().Descriptor().Fields().ByName("node").Number()
	return proto.Unmarshal(without(message.ReadOnlyData(), node, nodeExtensions), request)
}

// nodeExtensions is the number of the field of a node that lists the extensions of its Envoy.
var nodeExtensions = new(corev3.Node).ProtoReflect().Descriptor().Fields().ByName("extensions").Number()

// without returns an encoded message without a field, or without the one within it that further field numbers lead to.
// A message that is not valid is returned as it is.
func without(message []byte, field protowire.Number, within ...protowire.Number) []byte {
	var out []byte
	for rest := message; len(rest) > 0; {
		number, kind, size := protowire.ConsumeField(rest)
		if size < 0 {
			return message
		}
		encoded := rest[:size]
		rest = rest[size:]
		switch {
		case number != field || kind != protowire.BytesType:
			out = append(out, encoded...)
		case len(within) > 0:
			_, _, tag := protowire.ConsumeTag(encoded)
			inner, _ := protowire.ConsumeBytes(encoded[tag:])
			out = protowire.AppendTag(out, number, kind)
			out = protowire.AppendBytes(out, without(inner, within[0], within[1:]...))
		}
	}
	return out
}
