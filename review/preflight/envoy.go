package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// askTime is how long an answer is waited for, and maxAnswer how much of it is read, in bytes.
const (
	askTime   = 5 * time.Second
	maxAnswer = 256 << 20
)

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

// ask reads an answer, and how far the clock of who answers is from that of this machine, as well as whole seconds
// tell.
func ask(ctx context.Context, address, path string, into any) (skew time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, fmt.Errorf("%q is not an address HOST:PORT", address)
	}
	begun := time.Now()
	answer, err := client.Do(request)
	if err != nil {
		if within := errors.Unwrap(err); within != nil { // a *url.Error, whose text repeats the request
			err = within
		}
		return 0, err
	}
	defer answer.Body.Close()
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		skew = apart(date, begun, time.Now())
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return 0, err
	case answer.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("it answers %d to %s", answer.StatusCode, path)
	case json.Unmarshal(data, into) != nil:
		return 0, fmt.Errorf("it does not answer as expected to %s", path)
	}
	return skew, nil
}

// apart is how far a clock is off that showed date, in whole seconds, at some time between two times of this machine.
func apart(date, begun, ended time.Time) time.Duration {
	if early := date.Add(time.Second).Sub(begun); early < 0 {
		return early
	}
	return max(0, date.Sub(ended))
}

// client follows nothing and keeps nothing open.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
