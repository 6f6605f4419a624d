package main

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	rendered "github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/serve/kubernetes"
	"github.com/meshc/meshc/serve/tokenreview"
)

// meshLabel is carried by the ConfigMaps of the compiled mesh.
const meshLabel = rendered.LabelMesh

// clusterFlags say which cluster meshc serve is in.
type clusterFlags struct{ api, tokenFile, caFile, namespace, pod string }

func (c *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.api, "kubernetes-api", "", "API server of the cluster, https://HOST:PORT; with --ca it also reviews service account tokens, by which pods get their certificates")
	flags.StringVar(&c.tokenFile, "kubernetes-token-file", tokenreview.PodTokenFile, "file with this server's own token for it")
	flags.StringVar(&c.caFile, "kubernetes-ca-file", tokenreview.PodCAFile, "file with the roots of its certificate, in PEM")
	flags.StringVar(&c.namespace, "kubernetes-namespace", "", "this server's own namespace, MESH-system: pods and the compiled mesh are watched")
	flags.StringVar(&c.pod, "kubernetes-pod", "", "this server's own pod, which its report is under")
}

func (c *clusterFlags) check() error {
	switch {
	case c.api == "" && (c.namespace != "" || c.pod != ""):
		return usage(errors.New("--kubernetes-namespace and --kubernetes-pod need --kubernetes-api"))
	case (c.namespace == "") != (c.pod == ""):
		return usage(errors.New("--kubernetes-namespace and --kubernetes-pod go together"))
	case c.api != "" && !strings.HasPrefix(c.api, "https://"):
		return usage(errors.New("--kubernetes-api is https://HOST:PORT"))
	}
	return nil
}

func (c *clusterFlags) reviewer() *tokenreview.Reviewer {
	return &tokenreview.Reviewer{API: c.api, TokenFile: c.tokenFile, CAFile: c.caFile}
}

func (c *clusterFlags) config(log *slog.Logger) kubernetes.Config {
	return kubernetes.Config{API: c.api, TokenFile: c.tokenFile, CAFile: c.caFile, Pod: c.pod, Log: log}
}
