package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Stats are the counters and gauges of a proxy, KIND/NAME/INSTANCE, whose names
// match the regular expression (Envoy, administration interface, GET /stats).
func (m *Mesh) Stats(ctx context.Context, id, names string) (map[string]uint64, error) {
	m.mu.Lock()
	p := m.proxies[id]
	m.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("the mesh has no proxy %s", id)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/stats?format=json&filter="+
		url.QueryEscape(names), nil)
	if err != nil {
		return nil, err
	}
	answer, err := m.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var body struct {
		Stats []struct {
			Name  string `json:"name"`
			Value uint64 `json:"value"`
		} `json:"stats"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return nil, fmt.Errorf("the statistics of %s: %w", id, err)
	}
	stats := make(map[string]uint64, len(body.Stats))
	for _, s := range body.Stats {
		if s.Name != "" { // else they are histograms
			stats[s.Name] = s.Value
		}
	}
	return stats, nil
}
