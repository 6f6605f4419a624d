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
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
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

// Config is what a server needs.
type Config struct {
	// Listen and AdminListen are addresses HOST:PORT; port 0 is picked free.
	Listen, AdminListen string
	// EnrollListen is where hosts get their certificates, HOST:PORT; empty for
	// nowhere. For an Authority.
	EnrollListen string
	// TokenReview says whose a Kubernetes service account token is that is shown
	// there; nil where none is taken.
	TokenReview enroll.TokenReviewer
	// Authority signs the mesh's leaves, and the server's own. Or
	Authority *ca.Authority
	// CertificateDirectory holds the server's tls.crt, tls.key and ca.crt, which
	// somebody else puts there and renews.
	CertificateDirectory string
	Log                  *slog.Logger
	// Prepare is called with a mesh before it is served; nil for nothing.
	Prepare func(m *ir.Mesh)
	// Build renders a proxy's resources; nil for envoy.Build.
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
//   - [staging] takes a loaded mesh to the proxies, stage after stage;
//   - [proxies] are the connected proxies and what each is served;
//   - [liveMesh] is the mesh as it is at the moment, with its instances;
//   - [trust] is the trust bundle, [revocations] are the certificates that were taken back, [quotas] what each identity
//     takes of the server, and [holders] the hosts that hold certificates.
//
// Locks are taken in this order: setting, then that of the staging, then that of the proxies, and then at most one of
// the others, under which no other part is called. There is no other order, as calls go this way alone: no part knows
// one that comes before it. What was changed in a part is pushed by a call to the proxies afterwards, which read every
// part as it is then; so a change that comes in between is never lost, and at worst is looked at twice.
type Server struct {
	config   Config
	log      *slog.Logger
	xds      net.Listener
	admin    net.Listener
	enroll   net.Listener // nil for none
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

	// setting is held while a mesh is being taken, so that they are in their order. It guards which certificate the server has.
	setting  sync.Mutex
	id       spiffeid.ID
	lifetime ir.Duration
}

// New listens on the server's addresses. It serves nothing before [Server.Run].
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
		own := &issued{authority: c.Authority}
		if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
			own.hosts = []string{host}
		}
		s.identity = own
	} else {
		s.identity = &onDisk{dir: c.CertificateDirectory}
	}
	s.proxies = &proxies{
		log: c.Log, metrics: m, quotas: s.quotas, revoked: s.revoked, live: s.live, trust: s.trust, build: c.Build,
		envoys: cache.NewSnapshotCache(true, cache.IDHash{}, nil), clients: cache.NewSnapshotCache(false, cache.IDHash{}, nil),
		nodes: map[string]*node{}, streams: map[streamKey]*stream{},
	}
	s.staging = &staging{log: c.Log, metrics: m, live: s.live, proxies: s.proxies}
	var err error
	if s.xds, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, err
	}
	if s.admin, err = net.Listen("tcp", c.AdminListen); err != nil {
		return nil, errors.Join(err, s.xds.Close())
	}
	if c.EnrollListen != "" {
		if c.Authority == nil {
			return nil, errors.Join(errors.New("only an authority of its own can serve certificates"), s.xds.Close(), s.admin.Close())
		}
		if s.enroll, err = net.Listen("tcp", c.EnrollListen); err != nil {
			return nil, errors.Join(err, s.xds.Close(), s.admin.Close())
		}
	}
	return s, nil
}

// Addr is where proxies connect; AdminAddr is where status and metrics are.
func (s *Server) Addr() string      { return s.xds.Addr().String() }
func (s *Server) AdminAddr() string { return s.admin.Addr().String() }

// EnrollAddr is where hosts get their certificates; empty for nowhere.
func (s *Server) EnrollAddr() string {
	if s.enroll == nil {
		return ""
	}
	return s.enroll.Addr().String()
}

// SetMesh makes the server serve that mesh: every connected proxy whose resources
// differ is pushed to.
func (s *Server) SetMesh(m *ir.Mesh) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	return s.setMesh(m)
}

func (s *Server) setMesh(m *ir.Mesh) error {
	data, err := ir.Marshal(m)
	if err != nil {
		return err
	}
	hash := ir.Digest(data)
	if s.config.Prepare != nil {
		s.config.Prepare(m)
	}
	if s.staging.good(hash) {
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
	return nil
}

// SetFailure records why a mesh was not taken; the last good one is served on, where there is one.
func (s *Server) SetFailure(reason string) { s.staging.fail(reason) }

// Run serves until the context ends, then drains: readiness fails, streams are
// closed, and what is left after a while is cut off.
func (s *Server) Run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g := s.discovery(running)
	admin := &http.Server{
		Handler: s.adminHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 3)
	var issuing *http.Server
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := g.Serve(s.xds); err != nil {
			failed <- fmt.Errorf("xDS: %w", err)
		}
	})
	serving.Go(func() {
		if err := admin.Serve(s.admin); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("admin: %w", err)
		}
	})
	if s.enroll != nil {
		issuing = s.enrolment()
		serving.Go(func() {
			if err := issuing.ServeTLS(s.enroll, "", ""); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("certificates: %w", err)
			}
		})
	}
	serving.Go(func() { s.identity.renew(running, s.log) })
	serving.Go(func() { s.lookAfter(running) })
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
	if closeErr := admin.Shutdown(closing); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	if issuing != nil {
		if closeErr := issuing.Shutdown(closing); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
	}
	serving.Wait()
	return err
}

// discovery are the xDS services.
func (s *Server) discovery(running context.Context) *grpc.Server {
	handler := xds.NewServer(running, s.proxies.cache(), s.proxies.callbacks(), sotw.WithOrderedADS())
	g := grpc.NewServer(
		grpc.Creds(boundedCredentials{revocableCredentials{expiring{credentials.NewTLS(s.tlsConfig())}, s.revoked}, s.quotas}),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.StreamInterceptor(s.intercept),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientPings, PermitWithoutStream: true}),
	)
	discoverygrpc.RegisterAggregatedDiscoveryServiceServer(g, handler)
	clusterservice.RegisterClusterDiscoveryServiceServer(g, handler)
	endpointservice.RegisterEndpointDiscoveryServiceServer(g, handler)
	listenerservice.RegisterListenerDiscoveryServiceServer(g, handler)
	routeservice.RegisterRouteDiscoveryServiceServer(g, handler)
	secretservice.RegisterSecretDiscoveryServiceServer(g, handler)
	return g
}
