package spec

// Traffic is what a place says of the calls that it covers.
type Traffic struct {
	Timeout, IdleTimeout Field[string]
	Retries              *Retries
}

// Traffic of the calls of a use.
func (u *Use) Traffic() Traffic { return Traffic{u.Timeout, u.IdleTimeout, u.Retries} }

// Traffic of the requests of a route.
func (r *Route) Traffic() Traffic { return Traffic{r.Timeout, r.IdleTimeout, r.Retries} }

// Traffic of the calls to a service.
func (s *Service) Traffic() Traffic { return Traffic{s.Timeout, s.IdleTimeout, s.Retries} }

// Traffic of the calls to an external.
func (e *External) Traffic() Traffic { return Traffic{e.Timeout, e.IdleTimeout, e.Retries} }

// Traffic of all calls.
func (d *TrafficDefaults) Traffic() Traffic { return Traffic{d.Timeout, d.IdleTimeout, d.Retries} }
