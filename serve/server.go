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
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/update"
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

// Server is an xDS server.
type Server struct {
	config   Config
	log      *slog.Logger
	xds      net.Listener
	admin    net.Listener
	enroll   net.Listener // nil for none
	metrics  *metrics
	trust    []byte
	identity identitySource
	limits   *connectionLimits
	quotas   *quotas
	revoked  *revocations
	live     *liveMesh

	envoys, clients cache.SnapshotCache // of Envoys, and of gRPC clients

	// setting is held while a mesh is being taken, so that they are in their order.
	setting sync.Mutex

	mu       sync.Mutex
	mesh     *ir.Mesh      // as it was loaded, or a stage on the way to that
	ahead    []*ir.Mesh    // what will be served after mesh, each once all proxies have the one before
	staged   time.Time     // when mesh was begun to be served
	patience time.Duration // how long a stage waits for proxies
	meshHash string
	loaded   time.Time
	failure  string // why the mesh on disk is not the one served
	draining bool
	nodes    map[string]*node
	streams  map[streamKey]*stream
	rotation ca.Rotation
	holders  map[holderKey]Holder
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
		config: c, log: c.Log, metrics: m, limits: newConnectionLimits(), quotas: newQuotas(m), revoked: newRevocations(nil),
		envoys:  cache.NewSnapshotCache(true, cache.IDHash{}, nil),
		clients: cache.NewSnapshotCache(false, cache.IDHash{}, nil),
		live:    newLiveMesh(),
		nodes:   map[string]*node{}, streams: map[streamKey]*stream{}, holders: map[holderKey]Holder{},
	}
	if c.Authority != nil {
		s.trust, s.rotation, s.revoked = c.Authority.Bundle(), c.Authority.Rotation(), newRevocations(c.Authority.Revocations())
		own := &issued{authority: c.Authority}
		if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
			own.hosts = []string{host}
		}
		s.identity = own
	} else {
		s.identity = &onDisk{dir: c.CertificateDirectory}
	}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = ""
	s.metrics.reloads.WithLabelValues("ok").Inc()
	s.metrics.stale.Set(0)
	if hash == s.meshHash {
		return nil
	}
	if id := m.ServerIdentity(); s.mesh == nil || s.mesh.ServerIdentity() != id || s.mesh.Certificates.Lifetime != m.Certificates.Lifetime {
		if err := s.identity.take(id, time.Duration(m.Certificates.Lifetime)); err != nil {
			return err
		}
	}
	s.meshHash, s.loaded = hash, time.Now()
	s.metrics.mesh(hash)
	s.quotas.set(m.Server.Limits)
	if len(s.ahead) > 0 {
		// Another change is on its way, with rights that this one may take back: it waits for nobody.
		s.ahead = []*ir.Mesh{m}
	} else {
		s.ahead, s.patience = update.Stages(s.mesh, m), stageTime
		if update.Narrows(s.mesh, m) {
			s.patience = narrowTime
		}
	}
	s.log.Info("mesh loaded", "mesh", m.Name, "hash", hash, "services", len(m.Services), "proxies", len(s.nodes), "stages", len(s.ahead))
	s.advance()
	return nil
}

// SetFailure records why a mesh was not taken; the last good one is served on, where there is one.
func (s *Server) SetFailure(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != reason {
		goes := "the mesh is wrong; serving nothing until it is right"
		if s.mesh != nil {
			goes = "the changed mesh is wrong; serving the last good one"
		}
		s.log.Error(goes, "reason", reason)
	}
	s.failure = reason
	s.metrics.reloads.WithLabelValues("failed").Inc()
	s.metrics.stale.Set(1)
}

// Run serves until the context ends, then drains: readiness fails, streams are
// closed, and what is left after a while is cut off.
func (s *Server) Run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	both := &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return kindOf(r.GetNode()) },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return kindOf(r.GetNode()) },
		Caches:        map[string]cache.Cache{kindEnvoy: s.envoys, kindGRPC: s.clients},
	}
	handler := xds.NewServer(running, both, s.callbacks(), sotw.WithOrderedADS())
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
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
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
