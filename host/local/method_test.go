package local

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Methods that no standard names arrive, over HTTP/1.1 as over HTTP/2; those with small letters are refused where
// rules judge, since an application may read "get" as GET. To externals a method goes as it is written. Try says the
// same.
//
// Users' reports: envoyproxy/envoy#18819, envoyproxy/envoy#8247 (methods of their own are answered 400),
// nodejs/http-parser#309.
func TestMethodsArrive(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": asSentMesh})
	two := &http.Protocols{}
	two.SetUnencryptedHTTP2(true)
	for _, way := range waysTo(t, start(t, m), recording(t)) {
		transport := &http.Transport{Protocols: two, DialContext: func(context.Context, string, string) (net.Conn,
			error,
		) {
			return way.dial()
		}}
		for _, method := range []string{"PROPFIND", "PURGE", "FROBNICATE", "X-TAKE", "get", "Get", "POSt"} {
			from := try.Sender{Kind: ir.KindService, Name: "a"}
			port := uint16(8080)
			switch {
			case strings.Contains(way.name, "external"):
				port = 9000
			case strings.HasPrefix(way.name, "gateway"):
				from = try.Sender{Kind: ir.KindGateway, Name: "g"}
			}
			trial, err := try.Try(m, try.Request{
				From: from, Method: method, Scheme: "http", Host: way.host, Port: port,
				Path: "/k",
			})
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusOK
			if trial.Answer != nil {
				want = trial.Answer.Status
			}
			if small := strings.ToUpper(method) != method &&
				!strings.Contains(way.name, "external"); small != (want == http.StatusBadRequest) {
				t.Errorf("%s, %s: try says %d", way.name, method, want)
			}
			answer, body, _, _ := exchanged(t, way.dial,
				method+" /k HTTP/1.1\r\nHost: "+way.host+"\r\nContent-Length: 0\r\n\r\n")
			if answer.StatusCode != want || want == http.StatusOK && !strings.HasPrefix(body, method+" /k ") {
				t.Errorf("%s, %s: %d %.100q, want %d", way.name, method, answer.StatusCode, body, want)
			}
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+way.host+"/k", nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer, err = transport.RoundTrip(r); err != nil {
				t.Fatalf("%s, %s: %v", way.name, method, err)
			}
			data, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != want ||
				want == http.StatusOK && !strings.HasPrefix(string(data), method+" /k ") {
				t.Errorf("%s, %s over HTTP/2: %d %.100q %v, want %d", way.name, method, answer.StatusCode, data, err,
					want)
			}
		}
		transport.CloseIdleConnections()
	}
}
