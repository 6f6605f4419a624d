package kubernetes

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// scaled gives a gateway's Deployment as many pods as it always has, or leaves their
// number to its autoscaler.
func scaled(d *appsv1.Deployment, r ir.Replicas) *appsv1.Deployment {
	d.Spec.Replicas = nil
	if r.Min == r.Max {
		d.Spec.Replicas = &r.Min
	}
	return d
}

// autoscaler is that of a gateway; nil where the number of pods is fixed. It counts
// the CPU time of a pod and not the share of what it asks for, which says nothing of
// how busy the proxy's threads are.
func autoscaler(scope ir.Scope) *autoscalingv2.HorizontalPodAutoscaler {
	r := scope.Gateway.Replicas
	if r.Min == r.Max {
		return nil
	}
	busy := resource.NewMilliQuantity(int64(r.CPU)*10*int64(scope.Gateway.Proxy.Threads()), resource.DecimalSI)
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: metav1.TypeMeta{
			APIVersion: autoscalingv2.SchemeGroupVersion.String(),
			Kind:       "HorizontalPodAutoscaler",
		},
		ObjectMeta: meta(scope, scope.Gateway.Name),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: "apps/v1", Kind: "Deployment",
				Name: scope.Gateway.Name,
			},
			MinReplicas: &r.Min, MaxReplicas: r.Max,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name:   corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: busy},
				},
			}},
		},
	}
}
