package envoy

import (
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ownLayer adds a layer of the runtime that meshc serve sets over a stream of its own: what it sets there has a time to
// live, and ends by itself when nothing is heard of the server, which incremental ADS of several types does not offer.
func ownLayer(boot *bootstrapv3.Bootstrap, name string) {
	boot.LayeredRuntime.Layers = append(boot.LayeredRuntime.Layers, &bootstrapv3.RuntimeLayer{
		Name: name,
		LayerSpecifier: &bootstrapv3.RuntimeLayer_RtdsLayer_{RtdsLayer: &bootstrapv3.RuntimeLayer_RtdsLayer{
			Name: name,
			RtdsConfig: &corev3.ConfigSource{
				ResourceApiVersion: corev3.ApiVersion_V3,
				// A proxy that starts waits so long for a server that says nothing of the layer.
				InitialFetchTimeout: durationpb.New(time.Second),
				ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
					ApiType:             corev3.ApiConfigSource_DELTA_GRPC,
					TransportApiVersion: corev3.ApiVersion_V3,
					GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
						EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: serverCluster, RetryPolicy: reconnect()},
					}}},
					SetNodeOnFirstMessageOnly: true,
				}},
			},
		}},
	})
}
