package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/meshc/meshc/review/admin"
)

// askTime is how long an answer is waited for.
const askTime = 5 * time.Second

// certificates are what Envoy tells of those that it uses (GET /certs).
type certificates struct {
	Certificates []struct {
		Leaves []struct {
			Path       string    `json:"path"`
			Expiration time.Time `json:"expiration_time"`
		} `json:"cert_chain"`
	} `json:"certificates"`
}

// envoy looks at what the administration of a proxy tells: its clock, and how long its certificates are good for by
// that clock.
func envoy(ctx context.Context, address string) []Result {
	told := &certificates{}
	skew, err := ask(ctx, address, "/certs", told)
	if err != nil {
		return []Result{{
			Check: Certificates, Of: address, Text: err.Error(),
			Hint: "name the admin address of an Envoy, which listens on its own host alone " +
				"(kubectl port-forward POD 15000)",
		}}
	}
	out := Result{Check: Certificates, Of: address, Good: true, Text: "its certificates last"}
	now := time.Now().Add(skew)
	for _, c := range told.Certificates {
		for _, leaf := range c.Leaves {
			if leaf.Expiration.Sub(now) < leastLife {
				out.Good, out.Text = false, fmt.Sprintf("a certificate ends at %s: %s",
					leaf.Expiration.UTC().Format(time.RFC3339), leaf.Path)
				out.Hint = "see why it is not renewed: meshc certs inspect, and the log of meshc certs request"
			}
		}
	}
	return []Result{clock(address, skew), out}
}

// ask reads an answer in JSON, and how far the clock of who answers is from that of this machine.
func ask(ctx context.Context, address, path string, into any) (skew time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answer, err := admin.Get(ctx, address, path)
	switch {
	case err != nil:
		return 0, err
	case answer.Status != http.StatusOK:
		return 0, fmt.Errorf("it answers %d to %s", answer.Status, path)
	case json.Unmarshal(answer.Data, into) != nil:
		return 0, fmt.Errorf("it does not answer as expected to %s", path)
	}
	return answer.Skew, nil
}
