package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/local"
)

// bootstrap is the least that a proxy needs: one listener, whose one route leads to one cluster.
const bootstrap = `admin: {address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}}
static_resources:
  listeners:
  - name: requests
    address: {socket_address: {address: 127.0.0.1, port_value: %[2]d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: requests
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{match: {prefix: /}, route: {cluster: next}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
%[3]s  clusters:
  - name: next
    type: STATIC
    load_assignment:
      cluster_name: next
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %[4]s, port_value: %[5]d}}}}]}]
%[6]s`

// serves and connects are mutual TLS at the callee and at the caller: one certificate each, and one identity that the
// other may have.
const (
	serves = `      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
`
	connects = `    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: server
`
	mutual = `common_tls_context:
  alpn_protocols: [h2]
  tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}
  tls_certificates: [{certificate_chain: {filename: "%[1]s/tls.crt"}, private_key: {filename: "%[1]s/tls.key"}}]
  validation_context:
    trusted_ca: {filename: "%[1]s/ca.crt"}
    match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: %[2]q}}]
`
)

// indent moves each line of a text to the right by so many spaces.
func indent(text string, by int) string {
	in := strings.Repeat(" ", by)
	return in + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+in) + "\n"
}

// startByHand runs a caller's and a callee's Envoy in front of the application of a mesh that runs,
// with its certificates.
func startByHand(ctx context.Context, dir string, beside *pair) (*pair, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	envoy, err := local.Envoy("", "")
	if err != nil {
		return nil, err
	}
	ports, err := free(4)
	if err != nil {
		return nil, err
	}
	m := beside.mesh.Placed()
	client, server := m.Service("client"), m.Service("server")
	tls := func(own, other *ir.Service) string {
		return fmt.Sprintf(mutual, filepath.Clean(own.Proxy.CertificateDirectory), other.Identity)
	}
	address, port := target(m)
	configs := map[string]string{
		"server": fmt.Sprintf(bootstrap, ports[0], ports[1], serves+indent(tls(server, client), 10), address, port, ""),
		"client": fmt.Sprintf(bootstrap, ports[2], ports[3], "", "127.0.0.1", ports[1],
			connects+indent(tls(client, server), 8)),
	}
	p := &pair{name: "by hand", address: fmt.Sprintf("127.0.0.1:%d", ports[3])}
	var running []*exec.Cmd
	p.stop = func() error {
		var errs []error
		for _, cmd := range running {
			errs = append(errs, cmd.Process.Signal(syscall.SIGTERM))
			_ = cmd.Wait() // it ends by the signal
		}
		return errors.Join(errs...)
	}
	for name, config := range configs {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return nil, errors.Join(err, p.stop())
		}
		cmd := exec.Command(envoy, "-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level",
			"error") // #nosec G204 -- the Envoy that the user names
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return nil, errors.Join(err, p.stop())
		}
		running = append(running, cmd)
		p.pids = append(p.pids, cmd.Process.Pid)
	}
	for _, admin := range []int{ports[0], ports[2]} {
		if err := ready(ctx, admin); err != nil {
			return nil, errors.Join(err, p.stop())
		}
	}
	return p, nil
}

// free are so many ports of loopback where nobody listens.
func free(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// ready waits until the Envoy with that port of administration says that it is, for ten seconds at most.
func ready(ctx context.Context, admin int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/ready", admin), nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("an Envoy is not ready")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
