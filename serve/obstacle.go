package serve

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/identity/ca"
)

// Obstacles returns the reasons, sorted, why a rotation cannot go on to its next stage: each proxy and host in the
// reports of all servers that does not have the present stage. The list except names those that no longer exist, by
// name or identity.
func Obstacles(now ca.Rotation, reports []*Report, except []string, at time.Time) []string {
	for _, r := range reports {
		if r.Rotation == nil {
			return []string{"meshc serve has no authority of its own (--ca)"}
		}
		if r.Rotation.Bundle != now.Bundle || r.Rotation.Signer != now.Signer {
			return []string{"meshc serve has not taken this stage yet, or serves another authority"}
		}
	}
	if now.Stage == ca.Steady {
		return nil
	}
	var out []string
	held := map[string]bool{}
	for _, h := range holdersOf(reports, now.Bundle) {
		held[h.Identity] = true
		if h.Trust != now.Bundle && !slices.Contains(except, h.Name) && !slices.Contains(except, h.Identity) {
			out = append(out, fmt.Sprintf("%s (%s) has not taken the stage", h.Name, h.Identity))
		}
	}
	for _, p := range proxiesOf(reports) {
		switch {
		case slices.Contains(except, p.Node) || slices.Contains(except, p.Identity) || p.Gone || p.Trust == TrustByFile:
		case !p.Connected:
			out = append(out, p.Node+" is not connected: nobody knows whom it trusts")
		case p.Trust != now.Bundle:
			out = append(out, p.Node+" has not taken the stage")
		case !held[p.Identity]: // by its files it knows this server
			out = append(out, p.Node+
				" has taken the stage, and nobody knows whom its files trust: run meshc certs request there")
		}
	}
	if now.Stage == ca.SignNew && at.Before(now.OldLeaves) {
		out = append(out, "certificates that the old root signed hold until "+now.OldLeaves.UTC().Format(time.RFC3339))
	}
	slices.Sort(out)
	return slices.Compact(out) // several servers may say the same
}

// holdersOf returns the hosts that keep certificates. If a host got the bundle from one server, it has the bundle,
// even if another server saw it with an older one.
func holdersOf(reports []*Report, bundle string) (out []Holder) {
	for i, r := range reports {
		for _, h := range r.Holders {
			if h.Trust == bundle ||
				!slices.ContainsFunc(slices.Concat(reports[:i], reports[i+1:]), func(other *Report) bool {
					return slices.ContainsFunc(other.Holders,
						func(o Holder) bool {
							return o.Identity == h.Identity && o.Name == h.Name && o.Trust == bundle
						})
				}) {
				out = append(out, h)
			}
		}
	}
	return out
}

// proxiesOf returns the proxies of all servers. A proxy that is connected to one of them counts as connected.
func proxiesOf(reports []*Report) (out []Proxy) {
	connected := map[string]bool{}
	for _, r := range reports {
		for i := range r.Proxies {
			connected[r.Proxies[i].Node] = connected[r.Proxies[i].Node] || r.Proxies[i].Connected
		}
	}
	told := map[string]bool{}
	for _, r := range reports {
		for _, p := range r.Proxies {
			if p.Connected || !connected[p.Node] && !told[p.Node] {
				out = append(out, p)
				told[p.Node] = true
			}
		}
	}
	return out
}
