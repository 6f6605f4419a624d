// Package kubernetes is what meshc serve does in a cluster: it watches the pods of
// the mesh's services (EndpointSlices, discovery.k8s.io/v1) and the compiled mesh (the
// ConfigMaps that meshc compile renders), and reports how far a rollout is where
// Kubernetes' own tools look. It may read those in the namespaces of the mesh, and
// write its report. An embedded authority it keeps in a Secret, and tells pods whom to trust in a
// ConfigMap of each namespace; nothing else.
//
// While the API server is away everything stays as it was last seen.
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

// Config says how the API server is reached.
type Config struct {
	API apiserver.API
	// Pod is the server's own pod. It tells its reports from those of others.
	Pod string
	Log *slog.Logger
}

// agent is how the API server is told who asks.
const agent = "meshc-serve"

// Cluster follows a cluster for a server.
type Cluster struct {
	config Config
	client apiserver.Client
	log    *slog.Logger
	server *serve.Server
	pods   *podWatch

	mu         sync.Mutex
	namespaces []string // of the mesh's members in the cluster
}

// New makes a Cluster; it asks for nothing yet.
func New(config Config, server *serve.Server) (*Cluster, error) {
	client, err := config.API.Client(agent)
	if err != nil {
		return nil, err
	}
	c := &Cluster{config: config, client: client, log: config.Log, server: server}
	c.pods = newPodWatch(c)
	return c, nil
}

// patience is how long a mesh waits for what is known of its pods before it is served
// without: callers then look services up by DNS.
const patience = 10 * time.Second

// Prepare follows the pods of a mesh that is about to be served, and waits a while
// until they are known.
func (c *Cluster) Prepare(ctx context.Context, m *ir.Mesh) {
	c.noteNamespaces(m)
	c.pods.follow(ctx, m)
}
