// Package kubernetes connects meshc serve to a cluster. It watches the pods of the mesh's services (EndpointSlices,
// discovery.k8s.io/v1), the cluster IPs of Services that pods call below HTTP, and the compiled mesh (the
// ConfigMaps that meshc compile renders), and reports the progress of a rollout where the tools of Kubernetes look
// for it. It reads only in the namespaces of the mesh and writes only its report. The embedded authority is stored
// in a Secret, and its trust bundle is published in a ConfigMap of each namespace.
//
// While the API server is unavailable, the last known state stays in use.
package kubernetes

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/serve"
)

// Config says how to connect to the API server.
type Config struct {
	API apiserver.API
	// Pod is the name of the server's own pod. It distinguishes the server's report from those of others.
	Pod string
	Log *slog.Logger
}

// agent is how the API server is told who asks.
const agent = "meshc-serve"

// Cluster keeps a [serve.Server] up to date with what happens in a cluster.
type Cluster struct {
	config Config
	client apiserver.Client
	log    *slog.Logger
	server *serve.Server
	pods   *podWatch
	// services are those by whose cluster IPs pods call.
	services *serviceWatch

	mu         sync.Mutex
	namespaces []string // of the mesh's members in the cluster
}

// New returns a Cluster. It sends no request yet; it returns an error if the API server's configuration cannot be
// read.
func New(config Config, server *serve.Server) (*Cluster, error) {
	client, err := config.API.Client(agent)
	if err != nil {
		return nil, err
	}
	c := &Cluster{config: config, client: client, log: config.Log, server: server}
	c.pods, c.services = newPodWatch(c), newServiceWatch(c)
	return c, nil
}

// patience is how long a mesh waits for what is known of its pods before it is served
// without: callers then look services up by DNS.
const patience = 10 * time.Second

// Prepare begins to watch the pods of a mesh that will be served. It waits a limited time until they are known.
func (c *Cluster) Prepare(ctx context.Context, m *ir.Mesh) {
	c.noteNamespaces(m)
	c.services.follow(ctx, m)
	c.pods.follow(ctx, m)
}
