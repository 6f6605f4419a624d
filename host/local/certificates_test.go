package local

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// Certificates are renewed before they end, and no request fails meanwhile.
func TestCertificatesAreRenewed(t *testing.T) {
	t.Parallel() // it waits more than it works
	shop := compile(t, shopDir).Clone()
	shop.Certificates.Lifetime, shop.Certificates.RenewBefore = ir.Duration(6*time.Second), ir.Duration(5*time.Second)
	mesh := start(t, shop)
	load := startLoad(t, http.DefaultClient, mesh.Gateway("public").URL+"/?via=cart")
	first := serial(t, mesh)
	eventually(t, "a renewed certificate", func() bool { return serial(t, mesh) != first })
	second := serial(t, mesh)
	eventually(t, "another one", func() bool { return serial(t, mesh) != second })
	load.end(t)
}

// serial is that of the certificate that cart's proxy shows.
func serial(t *testing.T, m *Mesh) string {
	t.Helper()
	conn, err := tls.Dial("tcp", inbound(m, "cart", "http"), asMember(t, m, "service/frontend"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}
