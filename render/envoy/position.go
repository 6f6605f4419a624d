package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/source"
)

// The metadata that carries a resource's place in the spec:
// filter_metadata: {meshc: {source: "services/cart/service.cue:7:3"}}.
const (
	metadataNamespace = "meshc"
	metadataSource    = "source"
)

// positionMetadata is the metadata of what was written at that place; nil when it is not
// known.
func positionMetadata(pos source.Position) *corev3.Metadata {
	if !pos.IsValid() {
		return nil
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
		metadataNamespace: {Fields: map[string]*structpb.Value{metadataSource: structpb.NewStringValue(pos.String())}},
	}}
}

// Source is the place in the spec that a resource came from, as its metadata
// says, or else the metadata of the first of its parts that has any: a route
// configuration has none of its own. The zero value means that it says nothing.
func Source(msg proto.Message) source.Position {
	if msg == nil {
		return source.Position{}
	}
	return sourceOf(msg.ProtoReflect())
}

func sourceOf(m protoreflect.Message) source.Position {
	fields := m.Descriptor().Fields()
	if f := fields.ByName("metadata"); f != nil && f.Message() != nil && m.Has(f) {
		if metadata, ok := m.Get(f).Message().Interface().(*corev3.Metadata); ok {
			var pos source.Position
			text := metadata.GetFilterMetadata()[metadataNamespace].GetFields()[metadataSource].GetStringValue()
			if text != "" && pos.UnmarshalText([]byte(text)) == nil {
				return pos
			}
		}
	}
	for _, name := range []protoreflect.Name{"virtual_hosts", "routes"} {
		f := fields.ByName(name)
		if f == nil || !f.IsList() || f.Message() == nil {
			continue
		}
		for i, list := 0, m.Get(f).List(); i < list.Len(); i++ {
			if pos := sourceOf(list.Get(i).Message()); pos.IsValid() {
				return pos
			}
		}
	}
	return source.Position{}
}
