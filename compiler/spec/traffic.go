package spec

// NoLimit is what a spec writes where a time has no bound.
const NoLimit = "none"

// Traffic is what a place says of the calls that it covers.
type Traffic struct {
	Timeout, IdleTimeout Field[string]
	Retries              *Retries
	Connections          *Connections
}

// Traffic of the calls of a use.
func (u *Use) Traffic() Traffic { return Traffic{u.Timeout, u.IdleTimeout, u.Retries, u.Connections} }

// Traffic of the requests of a route.
func (r *Route) Traffic() Traffic { return Traffic{r.Timeout, r.IdleTimeout, r.Retries, nil} }

// Traffic of the calls to a service.
func (s *Service) Traffic() Traffic {
	return Traffic{s.Timeout, s.IdleTimeout, s.Retries, s.Connections}
}

// Traffic of the calls to an external.
func (e *External) Traffic() Traffic {
	return Traffic{e.Timeout, e.IdleTimeout, e.Retries, e.Connections}
}

// Traffic of all calls.
func (d *TrafficDefaults) Traffic() Traffic {
	return Traffic{d.Timeout, d.IdleTimeout, d.Retries, d.Connections}
}
