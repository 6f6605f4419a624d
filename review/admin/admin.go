// Package admin asks meshc serve and Envoys at their admin addresses.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Answer is what an admin address answers to a GET request.
type Answer struct {
	Status int
	Data   []byte
	// Skew is how far the clock of who answers is from that of this machine, as far as the header Date, in whole
	// seconds, tells; zero without one.
	Skew time.Duration
}

// ErrAddress is in the error for what is not an address HOST:PORT.
var ErrAddress = errors.New("is not a valid address HOST:PORT")

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 512 << 20

// Trimmed is an address as HOST:PORT, also of one that is written as meshc up prints it: http://HOST:PORT/.
func Trimmed(address string) string {
	return strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")
}

// Get asks an address, HOST:PORT, for a path with its query. It follows no redirect. The error says in short why there
// is no answer; an answer with a status of an error is an answer.
func Get(ctx context.Context, address, path string) (*Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+Trimmed(address)+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%q %w", address, ErrAddress)
	}
	begun := time.Now()
	response, err := client.Do(request)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil { // the text of a *url.Error repeats the request
			err = cause
		}
		return nil, err
	}
	defer response.Body.Close()
	answer := &Answer{Status: response.StatusCode}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		answer.Skew = skew(date, begun, time.Now())
	}
	answer.Data, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(answer.Data) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	return answer, err
}

// Read is the data of an answer with status 200; any other status is an error.
func Read(ctx context.Context, address, path string) ([]byte, error) {
	answer, err := Get(ctx, address, path)
	switch {
	case err != nil:
		return nil, err
	case answer.Status != http.StatusOK:
		return nil, fmt.Errorf("it answers %d to %s", answer.Status, path)
	}
	return answer.Data, nil
}

// skew is how far a clock is off that showed date, in whole seconds, at some time between two times of this machine.
func skew(date, begun, ended time.Time) time.Duration {
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
