package ir

import "time"

// Life is how old connections between members get. Both proxies look at certificates when a connection begins and not
// again, so this is how long somebody may go on under an identity whose certificate has ended.
type Life struct {
	// Requests go by a new connection after that time, and a caller that does not open one is told to by the proxy
	// that it calls after twice that time. Each connection gets up to [LifeJitter] percent older. 0 where the proxy
	// neither sends requests to members nor takes them, nor those of a scraper with an identity.
	Requests Duration `json:"requests,omitempty"`
	// Bytes: a connection below HTTP is closed by the callee's proxy after that time. 0 where it takes none.
	Bytes Duration `json:"bytes,omitempty"`
}

// LifeJitter is by how many percent connections get older than [Life.Requests], so that those which began together do
// not end together.
const LifeJitter = 20

// longestLife of a connection with requests: a handshake in this time costs nothing that can be seen.
const longestLife = Duration(5 * time.Minute)

// life of connections under those certificates. One that is renewed in time has RenewBefore left when a connection
// with requests begins, and no such connection outlives it. Nobody can be asked to end a connection below HTTP, so it
// lasts until no certificate that it began with can be valid.
func (c *Certificates) life() Life {
	out := Life{Requests: longestLife, Bytes: c.Lifetime}
	if c.RenewBefore > 0 {
		out.Requests = min(longestLife, c.RenewBefore*100/(100+LifeJitter))
	}
	return out
}

// lifeOf is what of that life the member's proxy needs to know.
func (s *Scope) lifeOf(all Life) (out Life) {
	takes := func(p *Port) {
		if p.Protocol.IsHTTP() {
			out.Requests = all.Requests
		} else {
			out.Bytes = all.Bytes
		}
	}
	if by := s.Settings.ReadFrom(); by != nil && !by.Identity.IsZero() {
		out.Requests = all.Requests
	}
	if v := s.Service; v != nil {
		for i := range v.Ports {
			if p := &v.Ports[i]; !p.Open {
				takes(p)
			}
		}
	}
	for _, use := range s.Member().Uses {
		for _, name := range use.Ports {
			switch e := s.Externals[use.To]; {
			case use.External && s.Gateway != nil && e.Via != nil && e.Via.Gateway == s.Gateway.Name:
				takes(e.Port(name))
			case use.External && e.Via != nil && e.Port(name).Protocol.IsHTTP(),
				!use.External && s.Upstreams[use.To].Port(name).Protocol.IsHTTP():
				out.Requests = all.Requests
			}
		}
	}
	return out
}
