package local

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// A callee's proxy ends a connection itself when it is older than the callers' certificates may be, though its caller
// goes on to send requests on it and does what no proxy does: it does not heed that it is to close the connection.
//
// Field: mesh.certificates
func TestCalleeEndsHeldConnections(t *testing.T) {
	t.Parallel() // it waits more than it works
	m := inline(t, map[string]string{"mesh.cue": aging}).Clone()
	m.Certificates.Lifetime, m.Certificates.RenewBefore = ir.Duration(4*time.Second), ir.Duration(time.Second)
	mesh := start(t, m)
	config := asMember(t, mesh, "service/client")
	config.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", inbound(mesh, "plain", "main"), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	answers, answered := bufio.NewReader(conn), 0
	eventually(t, "the end of the connection", func() bool {
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: plain\r\n\r\n"); err != nil {
			return true
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			return true
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %v", answer.StatusCode, err)
		}
		answered++
		return false
	})
	if answered < 2 {
		t.Errorf("only %d requests were answered before", answered)
	}
	if again, err := tls.Dial("tcp", inbound(mesh, "plain", "main"), asMember(t, mesh, "service/client")); err != nil {
		t.Errorf("another connection, with the certificate that the caller has now: %v", err)
	} else {
		_ = again.Close()
	}
}
