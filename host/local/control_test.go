package local

import (
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
)

// A proxy that has refused is told of, and not one before it that is merely behind.
func TestRefusalComesBeforeDelay(t *testing.T) {
	begun := time.Now()
	report := &serve.Report{Proxies: []serve.Proxy{
		{Node: "service/a/1", Connected: true, Types: []serve.TypeStatus{{Type: "RDS", State: serve.StateBehind}}},
		{
			Node: "service/b/1", Connected: true,
			Types: []serve.TypeStatus{{Type: "RDS", State: serve.StateRefused, Refusals: []serve.Refusal{
				{Resource: "inbound", Reason: "no such group", Since: begun.Add(time.Second)},
			}}},
		},
	}}
	proxies := []*proxy{{id: "service/a/1"}, {id: "service/b/1"}}
	if err := refusal(report, proxies, begun); err == nil ||
		!strings.Contains(err.Error(), "service/b/1 is refused: inbound: no such group") {
		t.Errorf("the refusal is %v", err)
	}
	if err := refusal(report, proxies, begun.Add(2*time.Second)); err != nil {
		t.Errorf("an old refusal is told again: %v", err)
	}
}
