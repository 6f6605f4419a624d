package local

import (
	"net/http"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Two services have one service account. A rule of store names the first of them alone, and the second does not call
// it.
const sharedMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: [N=string]: workload: deployment: N
services: {
	web: {account: "app", uses: {api: {}, store: {}}}
	batch: {account: "app", uses: api: {}}
	api: {
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["web", "batch"]}]
		deny: [{from: services: ["web", "batch"], methods: ["DELETE"]}]
	}
	store: {
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["web"], methods: ["GET"]}]
		silence: MC1772: "batch runs on the same nodes as web"
	}
}
`

// Services with one service account call by their own proxies what they use, and no rule tells them apart: who has the
// identity and comes past its own proxy is let in by the rule for the other. try says the same, and the edges of each
// are told by its own proxies. Requests that only the callee knows of belong to the only one that may call it, or to
// the identity.
//
// Field: account
func TestSharedServiceAccount(t *testing.T) {
	t.Parallel() // it waits more than it works
	linked := inline(t, map[string]string{"mesh.cue": sharedMesh})
	m := start(t, linked)
	for from, n := range map[string]int{"web": 30, "batch": 20} {
		client := m.As(from).Client()
		for range n {
			get(t, client, "http://api:8080/")
		}
		if a := send(t, client, http.MethodDelete, "http://api:8080/"); a.status != http.StatusForbidden {
			t.Errorf("%s: %d", from, a.status)
		}
	}
	get(t, m.As("web").Client(), "http://store:8080/")
	if said := triedFrom(t, linked, "batch", "GET", "store"); said != "" {
		t.Errorf("batch reaches %s, which it does not use", said)
	}
	past, url, err := m.Running().Past("batch", "store", "http")
	if err != nil {
		t.Fatal(err)
	}
	identity := linked.Service("batch").Identity.String()
	for _, method := range []string{"GET", "POST"} {
		got := send(t, past, method, url+"/", "host", "store")
		r := try.Request{From: try.Sender{Kind: ir.KindIdentity, Name: identity}, Method: method}
		if err := r.ParseURL("http://store:8080/"); err != nil {
			t.Fatal(err)
		}
		trial, err := try.Try(linked, r)
		if err != nil {
			t.Fatal(err)
		}
		said := http.StatusOK
		if trial.Answer != nil {
			said = trial.Answer.Status
		}
		if want := map[string]int{"GET": 200, "POST": 403}[method]; got.status != want || said != want {
			t.Errorf("%s past its proxy: %d, and try says %d; want %d", method, got.status, said, want)
		}
	}
	told(t, m, []string{
		"service batch → service api:8080 client 21 denied 0,",
		"service web → service api:8080 client 31 denied 0,",
		"service web → service store:8080 client 1 denied 0, server 3 denied 1",
		identity + " → service api:8080 server 52 denied 2",
	})
}
