package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/kubernetes"
)

// serveOptions are the flags of meshc serve.
type serveOptions struct {
	listen, admin, enrollListen, metricsListen, operatorsListen string
	names                                                       []string
	// certificates is the directory of certificates that somebody else issues, and authority that of the embedded
	// authority.
	certificates, authority, passphraseFile string
	endpoints                               string
	debug                                   bool
	capacity                                bool
	cluster                                 clusterFlags
	tags                                    []string
}

func newServeCmd() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve [DIR | mesh.json | packages]",
		Short: "Serve a mesh to its proxies over xDS",
		Long: `Serve gives every proxy the configuration of its own member over xDS, and records what each has taken or
refused. The mesh is a compiled one (a mesh.json or a directory that holds it) or a spec, given as packages; when it
changes on disk it is loaded again, and while it is wrong the last good one is served, or nothing where there was none. It is always
the whole mesh.

Proxies connect with mutual TLS, and are who their certificates say. With --ca the certificates are signed by an
authority that is kept in that directory, and made there if there is none and the mesh is right: hosts get theirs at --enroll-listen, where they
prove who they are (meshc certs): by a join token, by a certificate that still holds, or, with --kubernetes-api, by a
Kubernetes service account token whose audience is the server's identity. With --certificates somebody else issues them,
and the directory holds the server's own tls.crt, tls.key and ca.crt.

With --kubernetes-namespace the server is in a cluster: it watches the pods of the mesh's services, and the compiled mesh
itself in the ConfigMaps of that namespace, and keeps what it reads from files until it has that; its report, which mesh
all proxies have acknowledged, is in the ConfigMap mesh-rollout there.

With --ca-secret the authority is kept in a Secret of that namespace, which is there and empty at first: all servers have
the same one, and the key of its root is kept nowhere. Its roots are put into the ConfigMap --trust-configmap of that namespace
and of each one of the mesh, where pods look when they ask for their first certificate.

With --endpoints the instances of services that say workload: file come from the files of that directory, which other
programs write; a change reaches the proxies at once, and of a file that is wrong the last good content holds.

On the admin address are /healthz, /readyz, /metrics, /status and /edges, and, for a browser on the same host, a live page: who
calls whom with rates, errors and latencies, who is denied, and which proxies are behind. From elsewhere forward a port there.

With --operators-listen those whom mesh.operators names see the same page from elsewhere, and may tap: over TLS with the
server's own certificate, by a certificate of the mesh or by a token of Kubernetes, for which a browser is asked. Requests at
these addresses name the host by its address or by a --name.

With --capacity nothing is served. It is measured for two seconds what the mesh costs on this machine, and told how many
proxies one server can carry, and how many changes in a second.`,
		Example: `  meshc serve ./... --ca ~/.meshc/ca
  meshc serve out/ --certificates /etc/meshc/certificates --listen :15010
  meshc serve out/ --capacity`,
		RunE: o.run,
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:15010", "address for proxies")
	cmd.Flags().StringVar(&o.admin, "admin-listen", usualServer, "address for health, metrics, status and the live page")
	cmd.Flags().StringVar(&o.certificates, "certificates", "",
		"directory with the server's tls.crt, tls.key and ca.crt")
	cmd.Flags().StringVar(&o.authority, "ca", "", "directory of the embedded certificate authority")
	cmd.Flags().StringVar(&o.passphraseFile, "ca-passphrase-file", "",
		"file with the passphrase by which the root's key is encrypted, when --ca makes one")
	cmd.Flags().StringVar(&o.enrollListen, "enroll-listen", "127.0.0.1:15012",
		"with --ca or --ca-secret: address where hosts get their certificates (meshc certs request); empty for nowhere")
	cmd.Flags().StringVar(&o.metricsListen, "metrics-listen", "",
		"address where the mesh's scraper (mesh.telemetry.metrics.scraper) reads /metrics of this server, and nobody else; empty for nowhere")
	cmd.Flags().StringVar(&o.operatorsListen, "operators-listen", "",
		"address of the live page and of taps for operators (mesh.operators) from elsewhere, by TLS; empty for nowhere")
	cmd.Flags().StringSliceVar(&o.names, "name", nil,
		"DNS name by which browsers and Prometheus reach this server, besides its addresses; may be repeated")
	o.cluster.add(cmd.Flags())
	cmd.Flags().StringVar(&o.endpoints, "endpoints", "",
		"directory with the endpoints files of services (workload: file)")
	cmd.Flags().BoolVar(&o.debug, "debug", false,
		"show profiles (/debug/pprof/) and all metrics of the Go runtime (/debug/metrics) on the admin address, to requests from this host alone")
	cmd.Flags().BoolVar(&o.capacity, "capacity", false,
		"estimate how many proxies and changes a server on this machine can carry, and serve nothing")
	cmd.Flags().StringArrayVarP(&o.tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}

// run serves until it is interrupted.
func (o *serveOptions) run(cmd *cobra.Command, args []string) error {
	if err := wholeMesh(cmd, args); err != nil {
		return err
	}
	source := meshSource(args, o.tags)
	if o.capacity {
		return printCapacity(cmd, source)
	}
	if err := o.check(); err != nil {
		return err
	}
	config, err := o.config(cmd, source)
	if err != nil {
		return err
	}
	running, ctx := errgroup.WithContext(cmd.Context())
	var follow *kubernetes.Cluster
	if o.cluster.namespace != "" {
		config.Prepare = func(m *ir.Mesh) { follow.Prepare(ctx, m) }
	}
	s, err := serve.New(config)
	if err != nil {
		return err
	}
	if o.cluster.namespace != "" {
		if follow, err = kubernetes.New(o.cluster.config(config.Log), s); err != nil {
			return err
		}
	}
	config.Log.Info("listening", "xds", s.Addr(), "admin", s.AdminAddr(), "enroll", s.EnrollAddr(), "metrics", s.MetricsAddr(),
		"operators", s.OperatorsAddr())
	running.Go(func() error { return s.Run(ctx) })
	fromFiles, stop := context.WithCancel(ctx)
	defer stop()
	running.Go(func() error { return s.Follow(fromFiles, source) })
	if follow != nil {
		running.Go(func() error { return follow.FollowMesh(ctx, o.cluster.namespace, meshLabel, stop) })
		running.Go(func() error { follow.Report(ctx, o.cluster.namespace); return nil })
		running.Go(func() error { follow.Balance(ctx, o.cluster.namespace); return nil })
	}
	if o.authority != "" {
		running.Go(func() error { return s.FollowAuthority(ctx, o.authority) })
	}
	if o.cluster.authority != "" {
		running.Go(func() error { return follow.FollowAuthority(ctx, o.cluster.inSecret()) })
		if o.cluster.trust != "" {
			running.Go(func() error { follow.PublishTrust(ctx, o.cluster.inSecret(), config.Authority); return nil })
		}
	}
	if o.endpoints != "" {
		running.Go(func() error { return s.FollowEndpoints(ctx, o.endpoints) })
	}
	return running.Wait()
}

// config is how the server is to be, with the authority opened that it signs with.
func (o *serveOptions) config(cmd *cobra.Command, source serve.Source) (serve.Config, error) {
	config := serve.Config{
		Listen: o.listen, AdminListen: o.admin, MetricsListen: o.metricsListen, CertificateDirectory: o.certificates,
		OperatorsListen: o.operatorsListen, Names: o.names, Debug: o.debug,
		Log: newLog(cmd.ErrOrStderr()),
	}
	if o.cluster.api.Address != "" && o.certificates == "" {
		config.TokenReview = o.cluster.reviewer()
	}
	var err error
	switch {
	case o.authority != "":
		if !ca.Exists(o.authority) && o.cluster.namespace == "" {
			if err := mayBegin(cmd, source); err != nil {
				return config, err
			}
		}
		config.Authority, err = openAuthority(o.authority, o.passphraseFile)
	case o.cluster.authority != "":
		config.Authority, err = o.cluster.inSecret().Open(cmd.Context(), o.cluster.config(config.Log))
	}
	if err == nil && config.Authority != nil {
		config.EnrollListen = o.enrollListen
	}
	return config, err
}

// check wants one place of certificates, and flags of the cluster that go together.
func (o *serveOptions) check() error {
	given := 0
	for _, flag := range []string{o.certificates, o.authority, o.cluster.authority} {
		if flag != "" {
			given++
		}
	}
	if given != 1 {
		return usage(errors.New("serve needs either --ca DIR, --ca-secret NAME or --certificates DIR"))
	}
	return o.cluster.check()
}

// mayBegin reports what is wrong with a mesh for which an authority is to be made: nothing is made for a wrong one.
func mayBegin(cmd *cobra.Command, source serve.Source) error {
	if s, ok := source.(*specSource); ok {
		result, err := compiler.Compile(cmd.Context(), s.options)
		if err != nil || result.Mesh != nil {
			return err
		}
		if err := new(specFlags).print(cmd, result, diag.Text, true); err != nil {
			return err
		}
		return errFindings
	}
	_, _, err := source.Load(cmd.Context())
	return err
}

// openAuthority is the authority that is kept in a directory.
func openAuthority(dir, passphraseFile string) (*ca.Authority, error) {
	passphrase := secret.Value{}
	if passphraseFile != "" {
		var err error
		if passphrase, err = ca.ReadPassphrase(passphraseFile); err != nil {
			return nil, err
		}
	}
	return ca.Open(dir, passphrase)
}

// meshSource is a compiled mesh when the argument is one, else a spec.
func meshSource(args, tags []string) serve.Source {
	if len(args) == 1 && len(tags) == 0 && meshfile.IsFile(args[0]) {
		return meshfile.Follow(args[0])
	}
	// A rule whose time is over lets nobody in, and must not keep a server from starting.
	return &specSource{options: compiler.Options{
		Patterns: args, Tags: tags, CacheDir: cacheDir(), Version: imageTag(),
		Now: time.Unix(1, 0),
	}}
}

// specSource compiles a spec. Members that have not changed are the same values as before.
type specSource struct {
	options compiler.Options
	reader  ir.Reader
}

func (s *specSource) Load(ctx context.Context) (*ir.Mesh, []string, error) {
	r, err := compiler.Compile(ctx, s.options)
	if err != nil {
		return nil, nil, err
	}
	if r.Mesh == nil {
		return nil, r.Directories, wrongSpec{r}
	}
	if err := refusePart("this command", r.Part); err != nil {
		return nil, r.Directories, err // packages have come beside it
	}
	m, err := s.reader.Keep(r.Mesh)
	return m, r.Directories, err
}

// newLog writes text for a person and JSON for a machine. What it quotes of specs and proxies stays text, as w makes
// it.
func newLog(w io.Writer) *slog.Logger {
	if f, ok := exact(w).(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

// wrongSpec is the error for a spec that makes no mesh, with what is found in it.
type wrongSpec struct{ result *compiler.Result }

func (e wrongSpec) Error() string { return e.result.Diagnostics.FirstError() }
