package app

import (
	"net/http"
	"strings"
)

// Report is what an application says of a request that it served.
type Report struct {
	Service string `json:"service"`
	Version string `json:"version,omitempty"`
	// Port is the application's, by name.
	Port string `json:"port"`
	// Peer is the SPIFFE identity that the application's own proxy saw in the
	// caller's certificate; empty when there was none.
	Peer     string `json:"peer,omitempty"`
	Protocol string `json:"protocol"`
	Method   string `json:"method"`
	Host     string `json:"host"`
	// ServerName is the name in the handshake of TLS with the application itself; empty where there was none.
	ServerName string `json:"serverName,omitempty"`
	// ClientNames are those in the certificate that was shown there, by DNS; none where none was shown.
	ClientNames []string `json:"clientNames,omitempty"`
	// Path is with the query.
	Path string `json:"path"`
	// Headers are those of the request that a mesh is about.
	Headers map[string]string `json:"headers,omitempty"`
	// Calls are those that the request asked for, in its order.
	Calls []Call `json:"calls,omitempty"`
}

// Call is one call that an application made.
type Call struct {
	// To is the upstream's name.
	To string `json:"to"`
	// Status is HTTP's; 0 when there was no answer. For gRPC it is 200 when the
	// code is OK, and Code has its name.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
	// Error is why there was no answer, or what the answer said instead of a
	// report.
	Error string `json:"error,omitempty"`
	// Report is the upstream's own.
	Report *Report `json:"report,omitempty"`
}

// Hops are the reports of a chain of calls, the first in front.
func (r *Report) Hops() []*Report {
	hops := []*Report{r}
	for len(r.Calls) > 0 && r.Calls[0].Report != nil {
		r = r.Calls[0].Report
		hops = append(hops, r)
	}
	return hops
}

func (a *App) report(p Port, r *http.Request) Report {
	var name string
	var client []string
	if r.TLS != nil {
		name = r.TLS.ServerName
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].DNSNames
		}
	}
	return Report{
		ServerName: name, ClientNames: client,
		Service: a.service, Version: a.version, Port: p.Name,
		Peer:     peer(r.Header.Get("x-forwarded-client-cert")),
		Protocol: r.Proto, Method: r.Method, Host: r.Host, Path: r.URL.RequestURI(),
		Headers: telling(r.Header),
	}
}

// telling are the headers that begin with "x-", and those of tracing and authorization.
func telling(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-") && name != "x-forwarded-client-cert" || name == "traceparent" ||
			name == "authorization" {
			out[name] = strings.Join(values, ", ")
		}
	}
	return out
}

// peer is the URI of the last element of x-forwarded-client-cert, which is the
// one that the nearest proxy wrote (Envoy, HTTP connection manager,
// "x-forwarded-client-cert").
func peer(xfcc string) string {
	element := xfcc[strings.LastIndexByte(xfcc, ',')+1:]
	for field := range strings.SplitSeq(element, ";") {
		if uri, ok := strings.CutPrefix(field, "URI="); ok {
			return uri
		}
	}
	return ""
}
