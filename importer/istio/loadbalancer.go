package istio

import (
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// loadBalancer carries over how an instance is chosen.
func loadBalancer(s *spec.Service, p *networkingv1.LoadBalancerSettings) {
	if p == nil {
		return
	}
	out := &spec.LoadBalancer{}
	switch policy := p.LbPolicy.(type) {
	case *networkingv1.LoadBalancerSettings_Simple:
		if name := simplePolicy(policy.Simple); name != "" {
			out.Policy, p.LbPolicy = spec.Written(name), nil
		}
		if policy.Simple == networkingv1.LoadBalancerSettings_UNSPECIFIED {
			p.LbPolicy = nil
		}
	case *networkingv1.LoadBalancerSettings_ConsistentHash:
		if out.Hash = hash(policy.ConsistentHash); out.Hash != nil {
			out.Policy = spec.Written("ring-hash")
			algorithm := policy.ConsistentHash.HashAlgorithm
			if maglev, ok := algorithm.(*networkingv1.LoadBalancerSettings_ConsistentHashLB_Maglev); ok {
				out.Policy = spec.Written("maglev")
				if maglev.Maglev.GetTableSize() == 0 {
					policy.ConsistentHash.HashAlgorithm = nil
				}
			}
		}
	}
	if w := p.Warmup; w != nil {
		duration(&out.SlowStart, &w.Duration)
	}
	//lint:ignore SA1019 it is still written
	duration(&out.SlowStart, &p.WarmupDurationSecs)
	if *out != (spec.LoadBalancer{}) {
		s.LoadBalancer = out
	}
	locality(s, p.LocalityLbSetting)
}

func simplePolicy(p networkingv1.LoadBalancerSettings_SimpleLB) string {
	switch p {
	//lint:ignore SA1019 it is still written
	case networkingv1.LoadBalancerSettings_LEAST_REQUEST, networkingv1.LoadBalancerSettings_LEAST_CONN:
		return "least-request"
	case networkingv1.LoadBalancerSettings_ROUND_ROBIN:
		return "round-robin"
	case networkingv1.LoadBalancerSettings_RANDOM:
		return "random"
	}
	return ""
}

func hash(h *networkingv1.LoadBalancerSettings_ConsistentHashLB) *spec.Hash {
	out := &spec.Hash{}
	switch key := h.HashKey.(type) {
	case *networkingv1.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		out.Header = spec.Written(strings.ToLower(key.HttpHeaderName))
	case *networkingv1.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName:
		out.Query = spec.Written(key.HttpQueryParameterName)
	case *networkingv1.LoadBalancerSettings_ConsistentHashLB_UseSourceIp:
		if !key.UseSourceIp {
			return nil
		}
		out.SourceIP = spec.Written(true)
	case *networkingv1.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		if key.HttpCookie == nil {
			return nil
		}
		out.Cookie = spec.Written(importer.Take(&key.HttpCookie.Name))
		duration(&out.TTL, &key.HttpCookie.Ttl)
		if key.HttpCookie.Path == "/" {
			key.HttpCookie.Path = ""
		}
		if !importer.IsEmpty(key.HttpCookie) {
			return out // the rest is told
		}
	default:
		return nil
	}
	h.HashKey = nil
	return out
}

func locality(s *spec.Service, p *networkingv1.LocalityLoadBalancerSetting) {
	if p == nil {
		return
	}
	if enabled := importer.Take(&p.Enabled); enabled != nil && !enabled.Value {
		return
	}
	out := &spec.Locality{}
	for _, f := range p.Failover {
		out.Failover = append(out.Failover, &spec.Failover{
			From: spec.Written(importer.Take(&f.From)),
			To:   spec.Written(importer.Take(&f.To)),
		})
	}
	if len(p.Distribute) == 0 && out.Failover != nil {
		s.Locality = out
	}
}
