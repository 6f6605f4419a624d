//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/host/app"
)

// load is a number of requests each second until it is told to end.
type load struct {
	mu       sync.Mutex
	sent     int
	failures []string
	reports  []*app.Report

	stop    context.CancelFunc
	running sync.WaitGroup
}

// rate is how many requests a load sends each second.
const rate = 25

// start sends requests for the URL. An answer counts as good when it and all calls that
// its report tells of are.
func start(t *testing.T, url string) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * rate}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Minute}
	l.running.Go(func() {
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			l.running.Go(func() { l.send(client, url) })
		}
	})
	t.Cleanup(func() {
		stop()
		l.running.Wait()
		transport.CloseIdleConnections()
	})
	return l
}

func (l *load) send(client *http.Client, url string) {
	at := time.Now()
	report, err := ask(client, url, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.failures = append(l.failures, fmt.Sprintf("%s (%v): %v", at.Format(time.TimeOnly+".000"), time.Since(at).
			Round(time.Millisecond), err))
		return
	}
	l.reports = append(l.reports, report)
}

// end stops the load once it has sent that many requests, however fast what it met was over, and wants none of them
// to have failed.
func (l *load) end(t *testing.T, least int) {
	t.Helper()
	eventually(t, 5*time.Minute, func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.sent < least {
			return fmt.Sprintf("only %d requests were sent, fewer than %d", l.sent, least)
		}
		return ""
	})
	l.stop()
	l.running.Wait()
	t.Logf("%d requests, %d failed", l.sent, len(l.failures))
	for i, failure := range l.failures {
		if i == 10 {
			t.Errorf("and %d more", len(l.failures)-i)
			break
		}
		t.Error(failure)
	}
}

// since are the reports of the answers that came after the first n.
func (l *load) since(n int) []*app.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*app.Report(nil), l.reports[min(n, len(l.reports)):]...)
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.reports)
}

// peers asks for a chain of calls, and says what is wrong when their peers are others.
func peers(url string, want ...string) string {
	report, err := ask(http.DefaultClient, url, nil)
	if err != nil {
		return err.Error()
	}
	var got []string
	for _, hop := range report.Hops() {
		got = append(got, hop.Peer)
	}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("got %s, want %s", got, want)
	}
	return ""
}

// ask sends a request, and wants the answer and all calls that it tells of to be good.
func ask(client *http.Client, url string, header http.Header) (*app.Report, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var report app.Report
	if answer.StatusCode != http.StatusOK || json.Unmarshal(body, &report) != nil {
		return nil, fmt.Errorf("%s: %.200s", answer.Status, body)
	}
	return &report, failed(&report)
}

// failed is the first call in a report that was not answered well.
func failed(r *app.Report) error {
	for i := range r.Calls {
		call := &r.Calls[i]
		if call.Error != "" || call.Report == nil {
			return fmt.Errorf("%s to %s: %d %s %s", r.Service, call.To, call.Status, call.Code, call.Error)
		}
		if err := failed(call.Report); err != nil {
			return err
		}
	}
	return nil
}
