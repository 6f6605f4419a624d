package local

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/meshc/meshc/identity/ca"
)

// A client that breaks HTTP/2 and sends nothing any more, not even the answers to PINGs, loses its stream too: its
// connection is closed for that. It gives all credit for answers at once, so that it has nothing to say.
func TestRevokedAndSilent(t *testing.T) {
	t.Parallel() // it waits more than it works
	mesh, authority := startRevokable(t, revokableOpen)
	id := mesh.Placed().Service("client").Identity
	conn, err := tls.Dial("tcp", inbound(mesh, "target", "http"), &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{*ofChain(t, authority, id)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	var fields bytes.Buffer
	encode := hpack.NewEncoder(&fields)
	for _, f := range [][2]string{
		{":method", "GET"}, {":scheme", "http"}, {":authority", "target"}, {":path", "/?stream=10m"},
	} {
		if err := encode.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	frames := http2.NewFramer(conn, conn)
	for _, err := range []error{
		frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}),
		frames.WriteWindowUpdate(0, 1<<30),
		frames.WriteSettingsAck(),
		frames.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, BlockFragment: fields.Bytes(), EndStream: true, EndHeaders: true,
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// read waits for data of the answer; false is the end of the connection.
	read := func() bool {
		for {
			frame, err := frames.ReadFrame()
			if err != nil {
				t.Logf("the connection ends: %v", err)
				return false
			}
			if _, ok := frame.(*http2.DataFrame); ok {
				return true
			}
		}
	}
	if !read() {
		t.Fatal("there is no answer")
	}
	revoke(t, mesh, authority, ca.Revocation{Identity: id})
	begun := time.Now()
	for read() {
		if time.Since(begun) > 45*time.Second {
			t.Fatalf("the stream is open after %s", time.Since(begun))
		}
	}
	t.Logf("it has ended after %s", time.Since(begun))
}
