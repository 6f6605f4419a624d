package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/istio"
	"github.com/meshc/meshc/render/cluster"
)

func newImportCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Turn the configuration of another mesh into a spec",
		Long: `Import reads objects of Kubernetes, from files, the standard input or a cluster, and writes the mesh that they make in
CUE. What has no counterpart here is listed with the reason, and its place; nothing is dropped in silence.

Services and their workloads are read from the Services, Deployments, StatefulSets and DaemonSets in the same stream.`,
		Example: `  meshc import istio -f manifests/ --name shop -o mesh
  meshc import gateway-api --cluster --name shop`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usage(fmt.Errorf("meshc does not import %q: gateway-api, istio", args[0]))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImportFromCmd("istio", "Turn the configuration of Istio into a spec",
		`Istio reads VirtualService, DestinationRule, Gateway, ServiceEntry, Sidecar, AuthorizationPolicy, PeerAuthentication and
RequestAuthentication. Who may call whom is by AuthorizationPolicy: a service that none is for lets everyone of the mesh in.

Whom a service calls Istio does not know. Without --calls it is given all that its Sidecar shows it and that let it in.`,
		"networking.istio.io,security.istio.io", istio.Import))
	cmd.AddCommand(newImportFromCmd("gateway-api", "Turn objects of the Gateway API into a spec",
		`Gateway-api reads Gateway, HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, BackendTLSPolicy and ReferenceGrant. The order of
precedence between routes becomes the order of routes. A service lets in the gateways whose routes lead to it, and those
that --calls names; routes whose parent is a Service are for everyone of the mesh.`,
		"gateway.networking.k8s.io", gatewayapi.Import))
	return cmd
}

// reader makes a mesh of objects.
type reader func(objects []*importer.Object, o importer.Options) *importer.Mesh

func newImportFromCmd(name, short, long, groups string, read reader) *cobra.Command {
	var names, calls []string
	var out, namespace, format string
	var fromCluster bool
	var target targetFlags
	options := importer.Options{}
	cmd := &cobra.Command{
		Use:   name + " -f FILE...",
		Short: short,
		Long:  long,
		Example: "  meshc import " + name + ` -f manifests/ --name shop -o mesh
  kustomize build . | meshc import ` + name + ` -f - --name shop
  meshc import ` + name + ` --cluster --calls frontend=cart,checkout --calls checkout=payment`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			form, err := diag.ParseFormat(format)
			if err != nil {
				return usage(err)
			}
			if !goodName.MatchString(options.Name) {
				return usage(fmt.Errorf("%q is no name for a mesh: lower case letters, digits and dashes, beginning with a letter", options.Name))
			}
			if options.Calls, err = callsOf(calls); err != nil {
				return usage(err)
			}
			if fromCluster == (len(names) > 0) {
				return usage(errors.New("import needs -f FILE, -f - for the standard input, or --cluster"))
			}
			var inputs []input
			if fromCluster {
				c, err := target.open()
				if err != nil {
					return err
				}
				if inputs, err = clusterInputs(cmd, c, strings.Split(groups, ",")); err != nil {
					return err
				}
			} else if inputs, err = fileInputs(cmd, names); err != nil {
				return err
			}
			var objects []*importer.Object
			var found diag.List
			shown := fstest.MapFS{}
			for _, in := range inputs {
				more, problems := importer.Read(in.name, in.data, namespace)
				objects = append(objects, more...)
				found.Add(problems...)
				shown[in.name] = &fstest.MapFile{Data: in.data}
			}
			m := read(objects, options)
			found.Add(m.Found...)
			found.Sort()
			if err := writeImported(cmd, m, out); err != nil {
				return err
			}
			w := cmd.ErrOrStderr()
			if out != "" && form != diag.Text {
				w = cmd.OutOrStdout()
			}
			if err := diag.Print(w, found, form, diag.PrintOptions{Color: colored(w), Version: version(), Files: shown}); err != nil {
				return err
			}
			if form == diag.Text && len(found) > 0 {
				fmt.Fprintf(w, "\n%s\n", found.Summary())
			}
			if found.HasErrors() {
				return errFindings
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&names, "filename", "f", nil, "file or directory with manifests; - is the standard input")
	cmd.Flags().BoolVar(&fromCluster, "cluster", false, "read the cluster in place of files")
	cmd.Flags().StringVarP(&out, "output", "o", "", "new directory for the mesh repository (default: one file on the standard output)")
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "default", "namespace of objects that name none")
	cmd.Flags().StringVar(&options.Name, "name", "mesh", "name of the mesh")
	cmd.Flags().StringVar(&options.TrustDomain, "trust-domain", "cluster.local", "SPIFFE trust domain of the mesh")
	cmd.Flags().StringArrayVar(&calls, "calls", nil, "whom a service calls: CALLER=CALLEE,CALLEE")
	cmd.Flags().StringVar(&format, "format", "text", "form of the findings: text, json, sarif or github")
	cmd.Flags().StringVar(&target.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)")
	cmd.Flags().StringVar(&target.context, "context", "", "context in it (default: the current one)")
	return cmd
}

// callsOf reads CALLER=CALLEE,CALLEE; nil when nothing is given.
func callsOf(list []string) (map[string][]string, error) {
	var out map[string][]string
	for _, text := range list {
		caller, callees, ok := strings.Cut(text, "=")
		if !ok || caller == "" {
			return nil, fmt.Errorf("--calls is %q: write CALLER=CALLEE,CALLEE", text)
		}
		if out == nil {
			out = map[string][]string{}
		}
		for _, callee := range strings.Split(callees, ",") {
			if callee = strings.TrimSpace(callee); callee != "" && !slices.Contains(out[caller], callee) {
				out[caller] = append(out[caller], callee)
			}
		}
	}
	return out, nil
}

// input is a stream of manifests by the name that findings give it.
type input struct {
	name string
	data []byte
}

// fileInputs are the files, and the YAML and JSON files in the directories.
func fileInputs(cmd *cobra.Command, names []string) ([]input, error) {
	var out []input
	for _, name := range names {
		files := []string{name}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			files = nil
			err := filepath.WalkDir(name, func(file string, entry fs.DirEntry, err error) error {
				if err == nil && !entry.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)) {
					files = append(files, file)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			if len(files) == 0 {
				return nil, fmt.Errorf("%s has no files of YAML or JSON", name)
			}
		}
		for _, file := range files {
			data, err := readManifests(cmd.InOrStdin(), file)
			if err != nil {
				return nil, err
			}
			if file == "-" {
				file = "stdin"
			}
			out = append(out, input{path.Clean(filepath.ToSlash(file)), data})
		}
	}
	return out, nil
}

func clusterInputs(cmd *cobra.Command, c *cluster.Cluster, groups []string) ([]input, error) {
	data, err := c.Objects(cmd.Context(), groups)
	if err != nil {
		return nil, err
	}
	return []input{{"cluster", data}}, nil
}

// writeImported writes the mesh as a repository, or as one file.
func writeImported(cmd *cobra.Command, m *importer.Mesh, dir string) error {
	if dir == "" {
		text, err := m.File()
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	files, err := moduleFiles(m.Name + ".example/mesh")
	if err != nil {
		return err
	}
	imported, err := m.Files()
	if err != nil {
		return err
	}
	maps.Copy(files, imported)
	return layOutNew(dir, files)
}
