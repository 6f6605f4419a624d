//go:build e2e

package local

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// TestOneTraceThroughTheCollector is [TestOneTraceThroughTheMesh] with the OpenTelemetry Collector, which hands on what
// it took.
func TestOneTraceThroughTheCollector(t *testing.T) {
	oneTrace(t, throughCollector(""))
}

// TestLogsGoThroughTheCollector is [TestLogsGoWhereTheSpecSays] with the OpenTelemetry Collector.
func TestLogsGoThroughTheCollector(t *testing.T) {
	logsGo(t, throughCollector(""))
}

// TestMetricsArePushedThroughTheCollector is [TestMetricsArePushed] with the OpenTelemetry Collector.
func TestMetricsArePushedThroughTheCollector(t *testing.T) {
	metricsArePushed(t, ir.DeliveryXDS, throughCollector(""))
}

// Metrics are pushed over TLS to a collector that takes none without its token: those of a proxy whose secret has
// another are refused, and arrive once the secret has the right one, while the proxy runs. The token is in nothing that
// the proxy tells. Users' reports: istio/istio#52873, kgateway-dev/kgateway#8494.
func TestMetricsArePushedWithATokenOverTLS(t *testing.T) {
	shop := inline(t, map[string]string{
		"mesh.cue": strings.Replace(provenMesh, "tracing: sampling: 100", "metrics: push: {}", 1),
	})
	m := start(t, shop)
	m.External("otel").Close()
	endpoint := m.Placed().External("otel").Endpoints[0]
	l, err := listening(join(endpoint.Address, endpoint.Ports["otlp"]))
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := certificateFiles(t, m)
	c := throughCollector(fmt.Sprintf(
		`, tls: {cert_file: "%s", key_file: "%s"}, auth: {authenticator: bearertokenauth}`, certificate, key))(t, l)
	sent := 0
	// Reports are cumulative, so the last one has whatever was counted before the token was right.
	eventually(t, "reports that are refused", func() bool {
		get(t, m.As("client").Client(), "http://server:8080/items/1")
		sent++
		return counted(t, m, "service/client/a", `^cluster\..*collector\.upstream_rq_total$`) >= 2
	})
	has := map[string]string{"service.name": "client", "callee": "server.shop", "http.response.status_class": "2xx"}
	if n := c.latest("meshc.http.client.requests", has); n != 0 {
		t.Errorf("%v requests are told to a collector without its token", n)
	}
	for _, s := range m.Placed().Services {
		replaceFile(t, filepath.Join(s.Proxy.SecretDirectory, "otel", "token"), "Bearer "+collectorToken+"\n")
	}
	eventually(t, "all requests", func() bool {
		return c.latest("meshc.http.client.requests", has) == float64(sent)
	})
	for _, path := range []string{"/config_dump?include_eds", "/stats", "/clusters", "/certs"} {
		if text := administration(t, m, "service/client/a", path); strings.Contains(text, collectorToken) {
			t.Errorf("%s has the token", path)
		}
	}
}

// certificateFiles are a certificate of the collector's host, by the stand-in authority, and its key.
func certificateFiles(t *testing.T, m *Mesh) (certificate, key string) {
	t.Helper()
	issued, err := m.applications.stubs.issue([]string{"otel.example"})
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: issued.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// throughCollector has the OpenTelemetry Collector of tools/collector listen in place of the listener, with more of the
// configuration of its receiver.
func throughCollector(receiver string) collects {
	return func(t *testing.T, l net.Listener) *collector {
		t.Helper()
		at := l.Addr().String()
		l.Close()
		behind, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c := collect(t, behind)
		config := filepath.Join(t.TempDir(), "collector.yaml")
		text := fmt.Appendf(nil, collectorConfig, collectorToken, at, receiver, behind.Addr())
		if err := os.WriteFile(config, text, 0o600); err != nil {
			t.Fatal(err)
		}
		runCollector(t, config)
		eventually(t, "the collector listens", func() bool {
			conn, err := net.DialTimeout("tcp", at, time.Second)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		return c
	}
}

// collectorToken is what a collector wants whose receiver asks for a token.
const collectorToken = "very-secret"

// collectorConfig is that of a collector which sends on what it takes before it answers.
const collectorConfig = `
extensions: {bearertokenauth: {token: "%s"}}
receivers: {otlp: {protocols: {grpc: {endpoint: "%s"%s}}}}
exporters:
  otlp_grpc:
    endpoint: "%s"
    compression: none
    tls: {insecure: true}
    sending_queue: {enabled: false}
    retry_on_failure: {enabled: false}
service:
  extensions: [bearertokenauth]
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_grpc]}
    logs: {receivers: [otlp], exporters: [otlp_grpc]}
    metrics: {receivers: [otlp], exporters: [otlp_grpc]}
`

// runCollector runs it until the test ends, and shows what it said if the test fails.
func runCollector(t *testing.T, config string) {
	t.Helper()
	var said bytes.Buffer
	command := exec.CommandContext(t.Context(), filepath.Join("..", "..", ".tools", "collector"), "--config", "file:"+config)
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatalf("%v; tools/collector.sh builds it", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the collector: %s", said.String())
		}
	})
}
