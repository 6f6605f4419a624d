// Package cluster applies the output directory to a Kubernetes cluster, for those who
// have no Flux: server-side and in stages, each of which must be ready before the next
// one; and takes out what it applied before and is no more.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
)

// fieldManager is who owns the fields of what is applied.
const fieldManager = "meshc"

// Cluster is where a mesh is applied.
type Cluster struct {
	client    client.Client
	manager   *ssa.ResourceManager
	discovery discovery.DiscoveryInterface
	// Inventory is the namespace of the ConfigMap that says what was applied.
	Inventory string
	// Timeout bounds how long each stage may take to be ready.
	Timeout time.Duration
	// Tell is told each thing that is done.
	Tell func(line string)
}

// New is the cluster of the configuration.
func New(config *rest.Config) (*Cluster, error) {
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	known, err := reachable(config, httpClient)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{HTTPClient: httpClient, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(c, mapper, polling.Options{})
	return &Cluster{
		client: c, discovery: known, manager: ssa.NewResourceManager(c, poller,
			ssa.Owner{Field: fieldManager, Group: "meshc.dev"}),
		Inventory: "default", Timeout: 5 * time.Minute, Tell: func(string) {},
	}, nil
}

// reachable is the cluster's discovery, or says in words why the API server does not answer.
func reachable(config *rest.Config, client *http.Client) (discovery.DiscoveryInterface, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 10 * time.Second
	d, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	_, err = d.ServerVersion()
	var network *net.OpError
	switch {
	case err == nil:
		return d, nil
	case errors.As(err, &network):
		return nil, fmt.Errorf("the API server %s cannot be reached: %w", config.Host, network.Err)
	}
	return nil, fmt.Errorf("the API server %s does not answer: %w", config.Host, err)
}

// Apply makes the cluster have what the directory says, which m compiles to. It may be
// interrupted and run again. What belongs to Flux is left alone.
func (c *Cluster) Apply(ctx context.Context, dir string, m *ir.Mesh) error {
	stages, now, err := stagesOf(dir, m)
	if err != nil {
		return err
	}
	return c.apply(ctx, stages, now, m)
}

// apply applies the stages, which have the objects now, and deletes what meshc made before and
// is no more.
func (c *Cluster) apply(ctx context.Context, stages []stage, now object.ObjMetadataSet, m *ir.Mesh) error {
	inventory, err := c.inventory(ctx, m.Name)
	if err != nil {
		return err
	}
	for _, s := range stages {
		if err := c.stage(ctx, s, m, inventory); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if err := c.prune(ctx, m, inventory, now); err != nil {
		return err
	}
	inventory.keep(now)
	return inventory.write(ctx)
}

type stage struct {
	name    string
	objects []*unstructured.Unstructured
}

// stagesOf reads what the directory has for each stage, and the names of it all.
func stagesOf(dir string, m *ir.Mesh) ([]stage, object.ObjMetadataSet, error) {
	var stages []stage
	var all object.ObjMetadataSet
	for _, s := range kubernetes.Stages(m) {
		objects, err := read(dir, s.Files)
		if err != nil {
			return nil, nil, err
		}
		stages = append(stages, stage{s.Name, objects})
		all = append(all, object.UnstructuredSetToObjMetadataSet(objects)...)
	}
	return stages, all, nil
}

// read reads the objects of files of the directory.
func read(dir string, files []string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, name := range files {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		objects, err := utils.ReadObjects(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, objects...)
	}
	return out, nil
}

// stage applies a stage and waits until it is ready.
func (c *Cluster) stage(ctx context.Context, s stage, m *ir.Mesh, i *inventory) error {
	made, there, err := c.create(ctx, s.objects, i)
	if err != nil {
		return err
	}
	changes, err := c.manager.ApplyAll(ctx, there, ssa.DefaultApplyOptions())
	if err != nil {
		return err
	}
	for _, change := range changes.Entries {
		c.Tell(change.String())
	}
	applied := append(made, there...)
	if err := c.manager.WaitForSetWithContext(ctx, object.UnstructuredSetToObjMetadataSet(applied), ssa.WaitOptions{
		Interval: 500 * time.Millisecond, Timeout: c.Timeout, FailFast: true,
	}); err != nil {
		return err
	}
	if s.name == kubernetes.StageServer && len(applied) > 0 {
		return c.rollout(ctx, m)
	}
	return nil
}
