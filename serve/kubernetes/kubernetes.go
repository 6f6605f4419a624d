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
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
)

// Config says how the API server is reached.
type Config struct {
	// API is https://HOST:PORT.
	API string
	// TokenFile has the server's own token, which the kubelet renews, and CAFile the
	// roots of the API server's certificate, in PEM.
	TokenFile, CAFile string
	// Pod is the server's own pod. It tells its reports from those of others.
	Pod string
	Log *slog.Logger
}

// Cluster follows a cluster for a server.
type Cluster struct {
	config Config
	client kubernetes.Interface
	log    *slog.Logger
	server *serve.Server
	pods   *podWatch

	mu         sync.Mutex
	namespaces []string // of the mesh's members in the cluster
}

// New makes a Cluster; it asks for nothing yet.
func New(config Config, server *serve.Server) (*Cluster, error) {
	client, err := newClient(config)
	if err != nil {
		return nil, err
	}
	c := &Cluster{config: config, client: client, log: config.Log, server: server}
	c.pods = newPodWatch(c)
	return c, nil
}

func newClient(config Config) (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: config.API, BearerTokenFile: config.TokenFile, TLSClientConfig: rest.TLSClientConfig{CAFile: config.CAFile},
		QPS: 20, Burst: 50, Timeout: 0, UserAgent: "meshc-serve",
	})
	if err != nil {
		return nil, fmt.Errorf("the Kubernetes API at %s: %w", config.API, err)
	}
	return client, nil
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
