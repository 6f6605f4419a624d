package local

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Five listeners share a port: for all hosts, for those below a domain, for one of them with a client's certificate,
// for those below another one, and TLS that is passed through.
const misdirectedMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	[N=string]: workload: deployment: N
	[string]: ports: http: {port: 8080, protocol: "http"}
	[string]: allow: [{from: gateways: ["edge"]}]
	adm: {}
	shop: {}
	rest: {}
	behind: ports: tls: {port: 8443, protocol: "tls"}
}
gateways: edge: {
	listeners: {
		any: {port: 8443, tls: secret: "any", http3: true}
		below: {port: 8443, hosts: ["*.shop.example"], tls: secret: "below", http3: true}
		adm: {port: 8443, hosts: ["adm.shop.example"], tls: {secret: "adm", clientCertificates: secret: "clients"}}
		deep: {port: 8443, hosts: ["*.deep.shop.example"], tls: secret: "deep", http3: true}
		through: {port: 8443, protocol: "tls", hosts: ["through.shop.example"], to: {service: "behind", port: "tls"}}
	}
	routes: [
		{match: host: "adm.shop.example", to: [{service: "adm"}]},
		{match: host: "x.deep.shop.example", to: [{service: "adm"}]},
		{match: host: "*.shop.example", to: [{service: "shop"}]},
		{match: host: "*.example", to: [{service: "rest"}]},
	]
	uses: {adm: {}, shop: {}, rest: {}, behind: {}}
}
`

// A request for a host of another listener than its connection's is answered with 421, whatever HTTP it is: that
// listener may ask for a certificate. One for a host of the listener that no route is for is answered with 404. The
// reports of users are emissary-ingress/emissary#3340 and
// istio/istio#13589.
//
// Field: listeners.hosts
func TestMisdirectedRequests(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": misdirectedMesh})
	mesh := start(t, m)
	_, address, _ := strings.Cut(mesh.Gateway("edge").Listeners["any"], "://")
	hosts := []string{
		"adm.shop.example", "a.shop.example", "x.deep.shop.example", "y.deep.shop.example",
		"through.shop.example", "ADM.shop.example", "elsewhere.example", "shop.example",
		"nowhere.test", // for which there is no route
	}
	statuses := map[int]int{}
	for _, sni := range []string{"a.shop.example", "y.deep.shop.example", "elsewhere.example"} {
		config := &tls.Config{InsecureSkipVerify: true, ServerName: sni} // who answers is not what is tested
		var http1, http2 http.Protocols
		http1.SetHTTP1(true)
		http2.SetHTTP2(true)
		h3 := &http3.Transport{TLSClientConfig: config.Clone()}
		for protocol, transport := range map[string]http.RoundTripper{
			"HTTP/1.1": &http.Transport{TLSClientConfig: config.Clone(), Protocols: &http1},
			"HTTP/2.0": &http.Transport{TLSClientConfig: config.Clone(), Protocols: &http2},
			"HTTP/3.0": h3,
		} {
			for _, host := range hosts {
				got := misdirected(t, transport, protocol, address, host)
				want, reached := triedBy(t, m, sni, host)
				if got.status != want || want == http.StatusOK && got.report.Service != reached {
					t.Errorf("%s, SNI %s, host %s: %d %s, and try says %d %s", protocol, sni, host, got.status,
						got.body, want, reached)
				}
				statuses[got.status]++
			}
			if closes, ok := transport.(interface{ CloseIdleConnections() }); ok {
				closes.CloseIdleConnections()
			}
		}
		if err := h3.Close(); err != nil {
			t.Error(err)
		}
	}
	if statuses[http.StatusMisdirectedRequest] != 3*(8+7+6) || statuses[http.StatusOK] != 3*(1+2+2) ||
		statuses[http.StatusNotFound] != 3 {
		t.Errorf("answers by status: %v", statuses)
	}
}

func misdirected(t *testing.T, transport http.RoundTripper, protocol, address, host string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s, host %s: %v", protocol, host, err)
	}
	defer response.Body.Close()
	if response.Proto != protocol {
		t.Fatalf("%s in place of %s", response.Proto, protocol)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(response.StatusCode, body)
}

// triedBy is the status that try has for it, and which service it reaches.
func triedBy(t *testing.T, m *ir.Mesh, sni, host string) (status int, service string) {
	t.Helper()
	r := try.Request{From: try.Sender{Kind: ir.KindGateway, Name: "edge"}, Method: "GET"}
	if err := r.ParseURL("https://" + sni + ":8443/"); err != nil {
		t.Fatal(err)
	}
	if err := r.AddHeader("Host: " + host); err != nil {
		t.Fatal(err)
	}
	trial, err := try.Try(m, r)
	if err != nil {
		t.Fatal(err)
	}
	if trial.Answer != nil {
		return trial.Answer.Status, ""
	}
	return http.StatusOK, trial.Reaches[0].Service
}
