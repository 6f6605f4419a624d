// Package app is the application that the examples run beside each proxy. It
// answers every request with a [Report] of what it saw, calls its upstreams
// along a path that the request names, and fails or waits when it is told to,
// so that a mesh can be watched and tested without an application of one's own.
//
// A request steers it by query parameters, or by headers of the same name with
// "x-" in front:
//
//	via     a chain of calls to make: STEP,STEP,… where STEP is
//	        NAME[.PORT][:METHOD][:PATH]; the first is called, and told to go on
//	        with the rest. Written more than once, each chain is called.
//	fail    how many requests with the same key fail before one succeeds
//	key     what fail counts by; the x-request-id when it is not written
//	status  the status of the answer, or of the failures (503)
//	reset   "true" to fail by closing the connection without an answer
//	delay   how long to wait before the answer: "250ms"
//	at      the version that waits for delay; each when it is not written
//	read    "true" to read the whole request before the answer
//	stream  how long to send a line every 100ms, in place of a report: "20s"
//	headers how many headers "x-filled-N" to add to the answer, and
//	filled  how many bytes the value of each has (1)
//
// A WebSocket is accepted anywhere, and its messages are sent back.
package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Config is what an application is told when it starts.
type Config struct {
	// Service and Version are what it calls itself.
	Service, Version string
	// Ports are where it listens; none for one that only calls.
	Ports []Port
	// Upstreams are whom it may call.
	Upstreams []Upstream
	// Certificate is its own, for ports that speak TLS.
	Certificate *tls.Certificate
	// Roots check the upstreams that speak TLS themselves; nil for the system's.
	Roots *x509.CertPool
}

// Port is a port that the application listens on.
type Port struct {
	// Name tells the ports apart.
	Name string
	// Protocol is "http", "http2", "grpc", "tcp", or "tls" and "https": HTTP
	// inside TLS.
	Protocol string
	// Address is IP:PORT; port 0 takes a free one.
	Address string
}

// App is a running application.
type App struct {
	service, version string

	caller    *Caller
	requests  requests
	failures  failures
	rpc       *grpc.Server
	closers   []func()
	listeners map[string]net.Listener
	done      sync.WaitGroup
}

// Start listens on every port and serves until Close.
func Start(c Config) (*App, error) {
	a := &App{
		service: c.Service, version: c.Version,
		caller:    NewCaller(c.Upstreams, c.Roots),
		listeners: map[string]net.Listener{},
	}
	a.rpc = a.rpcServer()
	for _, p := range c.Ports {
		if err := a.listen(p, c.Certificate); err != nil {
			a.Close()
			return nil, fmt.Errorf("port %s of %s: %w", p.Name, c.Service, err)
		}
	}
	return a, nil
}

// Address is where that port listens, IP:PORT, or "" when there is none.
func (a *App) Address(port string) string {
	if l := a.listeners[port]; l != nil {
		return l.Addr().String()
	}
	return ""
}

// Caller calls as the application itself does.
func (a *App) Caller() *Caller { return a.caller }

// Close stops listening, cuts open connections and waits until all is down.
func (a *App) Close() {
	for _, l := range a.listeners {
		l.Close()
	}
	for _, stop := range a.closers {
		stop()
	}
	a.rpc.Stop()
	a.caller.Close()
	a.done.Wait()
}

func (a *App) listen(p Port, certificate *tls.Certificate) error {
	l, err := net.Listen("tcp", p.Address)
	if err != nil {
		return err
	}
	a.listeners[p.Name] = l
	switch p.Protocol {
	case "tcp":
		a.echo(p, l)
		return nil
	case "tls", "https":
		if certificate == nil {
			return fmt.Errorf("protocol %q needs a certificate", p.Protocol)
		}
		l = tls.NewListener(l, &tls.Config{
			Certificates: []tls.Certificate{*certificate}, ClientAuth: tls.RequestClientCert,
			NextProtos: []string{"h2", "http/1.1"},
		})
	case "http", "http2", "grpc":
	default:
		return fmt.Errorf("no protocol %q", p.Protocol)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{
		Handler: a.handler(p), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // whom its own proxy refuses does not concern the application
	}
	a.closers = append(a.closers, func() { s.Close() })
	a.done.Go(func() { _ = s.Serve(l) }) // it ends with http.ErrServerClosed
	return nil
}
