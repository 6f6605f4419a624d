package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/ca"
	inCluster "github.com/meshc/meshc/serve/kubernetes"
)

// authorityFlags say which embedded authority a command is about: one in a directory, or one that the servers of a
// cluster share.
type authorityFlags struct {
	dir, secret string
	target      targetFlags
}

func (a *authorityFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.dir, "ca", "", "directory of the embedded certificate authority")
	flags.StringVar(&a.secret, "ca-secret", "",
		"NAMESPACE/NAME of the Secret in which the servers of a cluster keep it")
	a.target.addCluster(flags)
}

// open is the authority, which is not made here.
func (a *authorityFlags) open(ctx context.Context) (*ca.Authority, error) {
	switch {
	case (a.dir == "") == (a.secret == ""):
		return nil, usage(errors.New("give either --ca DIR or --ca-secret NAMESPACE/NAME"))
	case a.dir != "":
		return existing(a.dir)
	}
	namespace, name, client, err := a.cluster()
	if err != nil {
		return nil, err
	}
	return inCluster.Authority{Namespace: namespace, Secret: name}.Existing(ctx, client)
}

func (a *authorityFlags) cluster() (namespace, name string, client apiserver.Client, err error) {
	namespace, name, both := strings.Cut(a.secret, "/")
	if !both || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", nil, usage(
			fmt.Errorf("--ca-secret is %q and must be NAMESPACE/NAME, as shop-system/meshc-authority", a.secret))
	}
	config, err := a.target.config()
	if err != nil {
		return "", "", nil, err
	}
	client, err = apiserver.NewClient(config)
	return namespace, name, client, err
}

// unasked is why the servers that were asked are not all that have the authority: each knows its own proxies and
// nobody else's; "" when they are all.
func (a *authorityFlags) unasked(ctx context.Context, asked int) (string, error) {
	if a.secret == "" {
		return "", nil
	}
	namespace, _, client, err := a.cluster()
	if err != nil {
		return "", err
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: serverLabels})
	if err != nil {
		return "", fmt.Errorf("the servers in %s: %w", namespace, err)
	}
	var names []string
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	if len(names) <= asked {
		return "", nil
	}
	return fmt.Sprintf("of the servers %s only %d are asked: forward a port to each (kubectl port-forward -n %s pod/NAME PORT:15011), and name all by --server", strings.Join(names, ", "), asked, namespace), nil
}

// serverLabels are those of the pods of meshc serve.
const serverLabels = "app.kubernetes.io/name=meshc"

// existing is the authority in a directory, which is not made here.
func existing(dir string) (*ca.Authority, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("there is no authority in %s: meshc serve --ca makes one", dir)
	}
	return ca.Open(dir, secret.Value{})
}
