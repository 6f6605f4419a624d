package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/render"
)

// maxManifests bounds what inject reads, in bytes.
const maxManifests = 64 << 20

func newInjectCmd() *cobra.Command {
	var file, namespace string
	var tags []string
	cmd := &cobra.Command{
		Use:   "inject -f FILE [DIR | mesh.json | packages]",
		Short: "Add the sidecars to a stream of Kubernetes manifests",
		Long: `Inject reads manifests and writes them with the proxy in the pods of every Deployment, StatefulSet, DaemonSet, Job and
CronJob that is a workload of the mesh, which is a compiled one (a mesh.json or a directory that holds it) or a spec, given
as packages. It adds what the Kustomize component of the namespace adds (kubernetes/NAMESPACE/sidecar), and looks after the
team's own containers: probes by TCP are made by the proxy, which tries the application; a container that requests reach
and that has no preStop waits 5 seconds before it is told to end. Everything else passes through byte for byte, and so
does what inject has written.

A probe that the kubelet could not make under mutual TLS, a container that can go round its proxy, and a name of the mesh's own in
something that is not are errors, which say what to write in the spec.`,
		Example: `  kustomize build apps | meshc inject -f - out | kubectl apply -f -
  meshc inject -f deployment.yaml ./...`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usage(errors.New("inject needs -f FILE, or -f - for the standard input"))
			}
			stream, err := readManifests(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			if len(args) == 1 && !strings.Contains(args[0], "...") {
				if _, err := os.Stat(args[0]); errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf(
						"there is no %s\n  hint: a directory that meshc compile wrote, a mesh.json, or packages of a spec (./...)", args[0])
				}
			}
			if err := wholeMesh(cmd, args); err != nil {
				return err
			}
			m, err := loadMesh(cmd, args, tags)
			if err != nil {
				return err
			}
			injected, err := render.Inject(stream, m, namespace,
				func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "meshc: "+text) })
			if err != nil {
				return err
			}
			_, err = exact(cmd.OutOrStdout()).Write(injected)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "filename", "f", "", "file with manifests; - is the standard input")
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "default", "namespace of manifests that name none")
	cmd.Flags().StringArrayVarP(&tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}

// readManifests reads a file, or the standard input.
func readManifests(stdin io.Reader, name string) ([]byte, error) {
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxManifests+1))
	if err == nil && len(data) > maxManifests {
		if name == "-" {
			name = "the standard input"
		}
		err = fmt.Errorf("%s has more than %d MiB", name, maxManifests>>20)
	}
	return data, err
}
