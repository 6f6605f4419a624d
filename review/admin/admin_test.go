package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/status":
			_, _ = w.Write([]byte("good " + r.URL.RawQuery))
		case "/elsewhere":
			http.Redirect(w, r, "/status", http.StatusFound)
		default:
			http.Error(w, "no", http.StatusForbidden)
		}
	}))
	defer server.Close()
	for _, address := range []string{server.URL, server.URL + "/", Trimmed(server.URL)} {
		if data, err := Read(t.Context(), address, "/status?a=b"); err != nil || string(data) != "good a=b" {
			t.Errorf("%s: %q, %v", address, data, err)
		}
	}
	if answer, err := Get(t.Context(), server.URL, "/elsewhere"); err != nil || answer.Status != http.StatusFound {
		t.Errorf("a redirect: %+v, %v", answer, err)
	}
	if _, err := Read(t.Context(), server.URL, "/closed"); err == nil || err.Error() != "it answers 403 to /closed" {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := Get(t.Context(), "a b", "/status"); !errors.Is(err, ErrAddress) {
		t.Errorf("a wrong address: %v", err)
	}
	server.Close()
	if _, err := Get(t.Context(), server.URL, "/status"); err == nil || strings.Contains(err.Error(), "/status") {
		t.Errorf("nobody there: %v", err)
	}
}

// A date of whole seconds says nothing of what is less.
func TestClocksApart(t *testing.T) {
	at := time.Date(2027, 1, 1, 0, 0, 10, 900e6, time.UTC)
	for _, c := range []struct {
		date, want time.Duration
	}{
		{-900 * time.Millisecond, 0},
		{0, 0},
		{-20 * time.Second, -19 * time.Second},
		{20 * time.Second, 19 * time.Second},
	} {
		if got := skew(at.Add(c.date), at, at.Add(time.Second)); got != c.want {
			t.Errorf("%v: %v, want %v", c.date, got, c.want)
		}
	}
}
