package local

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"golang.org/x/net/http2"
)

//lint:file-ignore SA1019 http.Transport sends no scheme but the connection's own

// sentByHTTP2 sends a request by a connection that is there, whatever the scheme of its URL.
func sentByHTTP2(conn net.Conn, r *http.Request) (*http.Response, error) {
	transport := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) {
			return conn, nil
		},
	}
	return transport.RoundTrip(r)
}
