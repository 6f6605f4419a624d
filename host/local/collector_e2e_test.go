//go:build e2e

package local

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
		text := fmt.Appendf(nil, collectorConfig, at, receiver, behind.Addr())
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

// collectorConfig is that of a collector which sends on what it takes before it answers.
const collectorConfig = `
receivers: {otlp: {protocols: {grpc: {endpoint: "%s"%s}}}}
exporters:
  otlp_grpc:
    endpoint: "%s"
    compression: none
    tls: {insecure: true}
    sending_queue: {enabled: false}
    retry_on_failure: {enabled: false}
service:
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
