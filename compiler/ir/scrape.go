package ir

import (
	"strconv"

	"github.com/meshc/meshc/compiler/source"
)

// DefaultScrapePath is [Scrape.Path] where nobody says otherwise.
const DefaultScrapePath = "/metrics"

// Scrape is where metrics of a service's application are, which the [Scraper] reads through the service's proxies.
type Scrape struct {
	// Port is the number that the application listens on.
	Port uint16          `json:"port"`
	Path string          `json:"path"`
	Pos  source.Position `json:"pos,omitzero"`
}

// At is the path on [Proxy.MetricsPort] where the proxy has them.
func (s *Scrape) At() string { return "/" + strconv.Itoa(int(s.Port)) + s.Path }

// PortTo is the port of the service whose application listens on that number; nil for none.
func (u *Upstream) PortTo(target uint16) *Port {
	for i := range u.Ports {
		if u.Ports[i].Target == target {
			return &u.Ports[i]
		}
	}
	return nil
}
