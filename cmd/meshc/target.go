package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/render/cluster"
	"github.com/meshc/meshc/render/meshfile"
	inCluster "github.com/meshc/meshc/serve/kubernetes"
)

// targetFlags say which cluster a command is about, as with kubectl.
type targetFlags struct{ kubeconfig, context, inventory string }

func (t *targetFlags) add(flags *pflag.FlagSet) {
	t.addCluster(flags)
	flags.StringVar(&t.inventory, "inventory-namespace", "default",
		"namespace of the ConfigMap that says what meshc apply applied")
}

// addCluster is for commands that apply nothing.
func (t *targetFlags) addCluster(flags *pflag.FlagSet) {
	flags.StringVar(&t.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)")
	flags.StringVar(&t.context, "context", "", "context in it (default: the current one)")
}

func (t *targetFlags) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: t.context}).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New(
			"no kubeconfig says which cluster\n  hint: --kubeconfig FILE, or the variable KUBECONFIG")
	case err != nil:
		return nil, fmt.Errorf("which cluster? %w", err)
	}
	config.QPS, config.Burst, config.UserAgent = 50, 100, "meshc"
	log.SetLogger(logr.Discard()) // what matters is told, or is an error
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	return config, nil
}

func (t *targetFlags) open() (*cluster.Cluster, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	c, err := cluster.New(config)
	if err != nil {
		return nil, err
	}
	c.Inventory = t.inventory
	return c, nil
}

// mesh is the one that a cluster has in a namespace; nil for none.
func (t *targetFlags) mesh(ctx context.Context, namespace string) (*ir.Mesh, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	client, err := apiserver.NewClient(config)
	if err != nil {
		return nil, err
	}
	m, err := inCluster.ReadMesh(ctx, client, namespace, meshLabel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// load reads the mesh of the output directory that the arguments name, and opens the
// cluster.
func (t *targetFlags) load(ctx context.Context, args []string) (dir string, m *ir.Mesh, c *cluster.Cluster, err error) {
	if dir = "out"; len(args) == 1 {
		dir = args[0]
	}
	if _, err := os.Stat(filepath.Join(dir, meshfile.Name)); errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil, fmt.Errorf(
			"%s has no %s: it is not what meshc compile writes\n  hint: meshc compile -o %s", dir, meshfile.Name, dir)
	}
	if m, _, err = meshfile.File(dir).Load(ctx); err != nil {
		return "", nil, nil, err
	}
	c, err = t.open()
	return dir, m, c, err
}
