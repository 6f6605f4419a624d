package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoverygrpc "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	xds "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/render/envoy"
)

// Config has the dependencies and settings of a [Server].
type Config struct {
	// Listen is the address HOST:PORT for proxies, AdminListen that for status and metrics. With port 0 a free port
	// is chosen.
	Listen, AdminListen string
	// EnrollListen is the address HOST:PORT at which hosts and pods get certificates; empty for none. It needs an
	// Authority.
	EnrollListen string
	// MetricsListen is the address HOST:PORT at which the mesh's scraper reads the metrics of this server; empty for
	// none.
	MetricsListen string
	// OperatorsListen is the address HOST:PORT of the live page and of taps for operators from elsewhere; empty for
	// none.
	OperatorsListen string
	// Names are DNS names by which clients reach the server, besides those in addresses to listen at. A request at the
	// addresses for administrators and operators that names another host is refused.
	Names []string
	// TokenReview verifies tokens of Kubernetes: of service accounts at EnrollListen, and of operators; nil if none are
	// accepted.
	TokenReview enroll.TokenReviewer
	// Authority signs the leaves of the mesh and the server's own certificate. Set either this or
	// CertificateDirectory.
	Authority *ca.Authority
	// CertificateDirectory contains the server's tls.crt, tls.key and ca.crt, which another program creates and
	// renews.
	CertificateDirectory string
	Log                  *slog.Logger
	// Debug adds profiles and metrics of the runtime to AdminListen, for requests from this host alone.
	Debug bool
	// Placed says that the mesh has other addresses and ports than its spec: those of one machine, where "meshc up"
	// runs it.
	Placed bool
	// Prepare is called with each mesh before it is served; it may be nil.
	Prepare func(m *ir.Mesh)
	// Build renders the resources of a proxy; nil means envoy.Build.
	Build func(ir.Scope, envoy.Options) (*envoy.Resources, error)
}

// Limits on what one client may ask of the server.
const (
	maxMessage     = 4 << 20 // bytes of a request
	maxStreams     = 16      // at once on a connection
	drainTime      = 5 * time.Second
	minClientPings = 10 * time.Second
	handshakeTime  = 10 * time.Second
	maxHeaders     = 16 << 10 // bytes
)

// Server is an xDS server. It connects its parts, each of which has its own state and lock:
//
//   - [staging] brings a loaded mesh to the proxies in stages;
//   - [proxies] are the connected proxies, with the resources of each;
//   - [liveMesh] is the mesh with its present instances;
//   - [trust] is the trust bundle, [revocations] are the revoked certificates, [quotas] count what each identity
//     uses of the server, and [holders] are the hosts that hold certificates;
//   - [sources] are when each source of the mesh and its instances last told something;
//   - [reports] are what the proxies tell of their edges, [taps] show operators single requests, and [levers] are what
//     operators have changed for a time.
//
// Locks are taken in this order: setting, then that of staging, then those of a node in proxies, and then at most one
// of the others, under which no other part is called. No other order occurs, because a part calls only parts that come
// later in this list. After a change in a part, a call to proxies pushes it; that call reads the present state of every
// part. So a change that comes in between is never lost; at worst it is processed twice.
type Server struct {
	config   Config
	log      *slog.Logger
	xds      net.Listener
	admin    net.Listener
	enroll   net.Listener // nil for none
	scraped  net.Listener // nil for none
	operated net.Listener // nil for none
	metrics  *metrics
	identity identitySource
	limits   *connectionLimits

	staging *staging
	proxies *proxies
	live    *liveMesh
	trust   *trust
	revoked *revocations
	quotas  *quotas
	holders *holders
	reports *reports
	taps    *taps
	sources sources
	levers  *levers
	// connections are those of proxies, which are balanced over several servers.
	connections connections
	balance     balance
	begun       time.Time

	// setting is held while a mesh is set, so that meshes are set in order. It also guards the server's certificate,
	// and what is known of the last mesh.
	setting  sync.Mutex
	held     *ir.Mesh // waits while a lever freezes changes; nil for none
	digests  ir.Digester
	id       spiffeid.ID
	lifetime ir.Duration
}

// New returns a server that listens on its addresses. It serves nothing before [Server.Run]. It returns an error if
// the configuration is not complete, or if it cannot listen on an address.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Build == nil {
		c.Build = envoy.Build
	}
	if (c.Authority == nil) == (c.CertificateDirectory == "") {
		return nil, errors.New("serve needs either an authority or a certificate directory")
	}
	m := newMetrics()
	s := &Server{
		config: c, log: c.Log, metrics: m, limits: newConnectionLimits(),
		live: newLiveMesh(), trust: &trust{}, revoked: newRevocations(nil), quotas: newQuotas(m), holders: newHolders(),
	}
	if c.Authority != nil {
		s.trust.follow(c.Authority)
		s.revoked = newRevocations(c.Authority.Revocations())
		s.identity = &issued{authority: c.Authority, hosts: c.hosts()}
	} else {
		s.identity = &onDisk{dir: c.CertificateDirectory}
	}
	s.proxies = &proxies{
		log: c.Log, metrics: m, quotas: s.quotas, revoked: s.revoked, live: s.live, trust: s.trust, build: c.Build,
		assigner: &assigner{of: map[string]*serviceAssignments{}},
		callers:  &callers{nodes: map[string]map[*node]bool{}},
		nodes:    map[string]*node{}, streams: map[streamKey]*stream{},
	}
	m.stand(s.proxies.standing, s.sources.list)
	s.reports, s.begun = newReports(s), time.Now()
	s.taps = newTaps(s)
	s.levers = newLevers(s)
	s.proxies.opened = s.levers.opened
	s.reports.left = s.taps.omitted
	m.follow(s.reports.store)
	s.staging = &staging{log: c.Log, metrics: m, live: s.live, proxies: s.proxies}
	if c.EnrollListen != "" && c.Authority == nil {
		return nil, errors.New("only an authority of its own can serve certificates")
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// listen opens all addresses of the configuration, or none.
func (s *Server) listen() error {
	var open []net.Listener
	for _, at := range []struct {
		listener *net.Listener
		address  string
		optional bool
	}{
		{&s.xds, s.config.Listen, false},
		{&s.admin, s.config.AdminListen, false},
		{&s.enroll, s.config.EnrollListen, true},
		{&s.scraped, s.config.MetricsListen, true},
		{&s.operated, s.config.OperatorsListen, true},
	} {
		if at.optional && at.address == "" {
			continue
		}
		listener, err := net.Listen("tcp", at.address)
		if err != nil {
			for _, l := range open {
				err = errors.Join(err, l.Close())
			}
			return err
		}
		*at.listener, open = newAcceptor(listener, s.quotas, s.log), append(open, listener)
	}
	return nil
}

// Addr is the address for proxies, and AdminAddr that for status and metrics.
func (s *Server) Addr() string      { return s.xds.Addr().String() }
func (s *Server) AdminAddr() string { return s.admin.Addr().String() }

// EnrollAddr is the address at which hosts get certificates; empty if there is none.
func (s *Server) EnrollAddr() string {
	if s.enroll == nil {
		return ""
	}
	return s.enroll.Addr().String()
}

// MetricsAddr is the address at which the scraper reads the metrics of this server; empty if there is none.
func (s *Server) MetricsAddr() string {
	if s.scraped == nil {
		return ""
	}
	return s.scraped.Addr().String()
}

// OperatorsAddr is the address for operators; empty if there is none.
func (s *Server) OperatorsAddr() string {
	if s.operated == nil {
		return ""
	}
	return s.operated.Addr().String()
}

// SetMesh makes the server serve the mesh. It pushes to each connected proxy whose resources change.
func (s *Server) SetMesh(m *ir.Mesh) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	s.Heard(sourceMesh, 0)
	return s.setMesh(m)
}

func (s *Server) setMesh(m *ir.Mesh) error {
	hash, err := s.digests.Digest(m)
	if err != nil {
		return err
	}
	if s.config.Prepare != nil {
		s.config.Prepare(m)
	}
	if s.staging.good(hash) {
		s.held = nil
		return nil
	}
	if s.hold(m, hash) {
		return nil
	}
	if id := m.ServerIdentity(); s.id != id || s.lifetime != m.Certificates.Lifetime {
		if err := s.identity.take(id, time.Duration(m.Certificates.Lifetime)); err != nil {
			return err
		}
		s.id, s.lifetime = id, m.Certificates.Lifetime
	}
	s.quotas.set(m.Server.Limits)
	s.staging.take(m, hash)
	s.levers.meshChanged()
	return nil
}

// SetFailure records why a mesh was not accepted. The last valid mesh, if there is one, stays in use; one that waits is
// forgotten, as it is no longer what is written.
func (s *Server) SetFailure(reason string) {
	s.setting.Lock()
	defer s.setting.Unlock()
	s.held = nil
	s.staging.fail(reason)
}

// Run serves until the context ends. Then it drains: the readiness check fails, streams are closed, and connections
// that remain after a few seconds are cut.
func (s *Server) Run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g := s.discovery(running)
	sites := s.sites()
	failed := make(chan error, 1+len(sites))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := g.Serve(s.xds); err != nil {
			failed <- fmt.Errorf("xDS: %w", err)
		}
	})
	for _, at := range sites {
		serving.Go(func() {
			if err := at.serve(); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", at.name, err)
			}
		})
	}
	serving.Go(func() { s.identity.renew(running, s.log) })
	serving.Go(func() { s.lookAfter(running) })
	serving.Go(func() { s.levers.run(running) })
	serving.Go(func() { s.thaw(running) })
	serving.Go(func() { s.opens(running) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.proxies.drain()
	stop() // ends the streams, whose clients reconnect elsewhere
	drained := make(chan struct{})
	go func() { g.GracefulStop(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(drainTime):
		g.Stop()
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for _, at := range sites {
		if closeErr := at.Shutdown(closing); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
	}
	serving.Wait()
	return err
}

// site is an HTTP server of this server, and where it listens.
type site struct {
	*http.Server
	name     string
	listener net.Listener
}

// sites are the HTTP servers of the addresses that are listened at.
func (s *Server) sites() []site {
	out := []site{{&http.Server{
		Handler: s.adminHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}, "admin", s.admin}}
	if s.enroll != nil {
		out = append(out, site{s.enrolment(), "certificates", s.enroll})
	}
	if s.scraped != nil {
		out = append(out, site{s.scraping(), "metrics", &scrapeListener{s.scraped, s}})
	}
	if s.operated != nil {
		out = append(out, site{s.operating(), "operators", s.operated})
	}
	for _, at := range out {
		countRequests(at.Server)
	}
	return out
}

func (s site) serve() error {
	if s.TLSConfig != nil {
		return s.ServeTLS(s.listener, "", "")
	}
	return s.Serve(s.listener)
}

// discovery returns the gRPC server with the xDS services.
func (s *Server) discovery(running context.Context) *grpc.Server {
	handler := xds.NewServer(running, s.proxies.cache(), s.proxies.callbacks(), sotw.WithOrderedADS())
	g := grpc.NewServer(
		grpc.Creds(boundedCredentials{
			revocableCredentials{expiring{credentials.NewTLS(s.tlsConfig())}, s.revoked},
			s.quotas, &s.connections,
		}),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.ReadBufferSize(0), // TLS buffers what it has decrypted; gRPC would hold 32 KiB more for each connection
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.StreamInterceptor(s.intercept),
		grpc.UnaryInterceptor(s.interceptCall),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             minClientPings,
			PermitWithoutStream: true,
		}),
	)
	discoverygrpc.RegisterAggregatedDiscoveryServiceServer(g, handler)
	clusterservice.RegisterClusterDiscoveryServiceServer(g, handler)
	endpointservice.RegisterEndpointDiscoveryServiceServer(g, handler)
	listenerservice.RegisterListenerDiscoveryServiceServer(g, handler)
	routeservice.RegisterRouteDiscoveryServiceServer(g, handler)
	secretservice.RegisterSecretDiscoveryServiceServer(g, handler)
	s.reports.register(running, g)
	registerRuntime(running, g, &s.taps.layers, &s.levers.layers)
	s.taps.registerLines(g)
	s.taps.registerOperators(running, g)
	s.registerLevers(g)
	return g
}
