package main

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/tokenreview"
	rendered "github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/serve/kubernetes"
)

// meshLabel is carried by the ConfigMaps of the compiled mesh.
const meshLabel = rendered.LabelMesh

// clusterFlags say which cluster meshc serve is in.
type clusterFlags struct {
	api                              apiserver.API
	namespace, pod, authority, trust string
}

func (c *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.api.Address, "kubernetes-api", "",
		"API server of the cluster, https://HOST:PORT; with --ca or --ca-secret it also reviews service account tokens, by which pods get their certificates")
	flags.StringVar(&c.api.TokenFile, "kubernetes-token-file", apiserver.PodTokenFile,
		"file with this server's own token for it")
	flags.StringVar(&c.api.CAFile, "kubernetes-ca-file", apiserver.PodCAFile,
		"file with the roots of its certificate, in PEM")
	flags.StringVar(&c.namespace, "kubernetes-namespace", "",
		"this server's own namespace, MESH-system: pods and the compiled mesh are watched")
	flags.StringVar(&c.pod, "kubernetes-pod", "", "this server's own pod, which its report is under")
	flags.StringVar(&c.authority, "ca-secret", "",
		"Secret of that namespace in which the embedded certificate authority is kept, for all servers")
	flags.StringVar(&c.trust, "trust-configmap", "",
		"with --ca-secret: ConfigMap, in each namespace of the mesh, that is given the authority's roots")
}

func (c *clusterFlags) check() error {
	switch {
	case c.api.Address == "" && (c.namespace != "" || c.pod != ""):
		return usage(errors.New("--kubernetes-namespace and --kubernetes-pod need --kubernetes-api"))
	case (c.namespace == "") != (c.pod == ""):
		return usage(errors.New("--kubernetes-namespace and --kubernetes-pod go together"))
	case c.authority != "" && c.namespace == "":
		return usage(errors.New("--ca-secret needs --kubernetes-namespace"))
	case c.trust != "" && c.authority == "":
		return usage(errors.New("--trust-configmap is for --ca-secret"))
	case c.api.Address != "" && !strings.HasPrefix(c.api.Address, "https://"):
		return usage(errors.New("--kubernetes-api is https://HOST:PORT"))
	}
	return nil
}

func (c *clusterFlags) reviewer() *tokenreview.Reviewer {
	return &tokenreview.Reviewer{API: c.api}
}

func (c *clusterFlags) config(log *slog.Logger) kubernetes.Config {
	return kubernetes.Config{API: c.api, Pod: c.pod, Log: log}
}

// inSecret is where the authority is that is kept in the cluster.
func (c *clusterFlags) inSecret() kubernetes.Authority {
	return kubernetes.Authority{Namespace: c.namespace, Secret: c.authority, Trust: c.trust}
}
