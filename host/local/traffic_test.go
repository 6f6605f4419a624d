package local

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

const trafficDir = "../../testdata/traffic"

// traffic is the mesh of testdata/traffic, which all tests share.
var traffic struct {
	sync.Mutex
	mesh *Mesh
}

func trafficMesh(t testing.TB) *Mesh {
	t.Helper()
	traffic.Lock()
	defer traffic.Unlock()
	if traffic.mesh == nil {
		traffic.mesh = startUntilStopped(t, compile(t, trafficDir))
	}
	return traffic.mesh
}

// client sends requests as the service of that name.
func client(t testing.TB) *http.Client {
	t.Helper()
	return trafficMesh(t).As("client").Client()
}

// full is what came back for a request, with its headers.
type full struct {
	answer
	header http.Header
}

// exchange makes a request with a body.
func exchange(t testing.TB, c *http.Client, method, url, body string, headers ...string) full {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "host" {
			r.Host = headers[i+1]
		}
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return full{answer: answerOf(response.StatusCode, data), header: response.Header}
}
