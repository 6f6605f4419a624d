package main

import (
	"cmp"
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
	"github.com/meshc/meshc/compiler/similar"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/consul"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/istio"
	"github.com/meshc/meshc/importer/kubernetes"
	"github.com/meshc/meshc/importer/linkerd"
	"github.com/meshc/meshc/importer/together"
)

func newImportCmd() *cobra.Command {
	all := importOptions{
		groups: "networking.istio.io,security.istio.io,gateway.networking.k8s.io," + linkerdGroups + "," + consulGroup + "," +
			workloadGroups,
		read: together.Import,
	}
	cmd := all.command("import", "Turn the configuration of another mesh, or workloads without one, into a spec",
		`Import reads objects of Kubernetes, from files, the standard input or a cluster, and writes the mesh that they make in
CUE. What has no counterpart here is listed with the reason, and its place; nothing is dropped in silence. What it writes
is compiled: what does not compile is an error at the object that it is made of.

Without the name of a source it reads all of them into one mesh: routes of the Gateway API and Ingresses hold beside those of
Istio, Linkerd or Consul and below its policies; of several of these meshes one is read. Where there is none, the workloads
get a first spec, as meshc import kubernetes writes it.

Services and their workloads are read from the Services, Deployments, StatefulSets, DaemonSets, Jobs and CronJobs in the
same stream.`)
	cmd.Example = `  meshc import -f manifests/ --name shop -o mesh
  meshc import istio -f manifests/ --name shop -o mesh
  meshc import gateway-api --cluster --name shop`
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().NFlag() == 0 {
			return cmd.Help()
		}
		return run(cmd, args)
	}
	o := importOptions{groups: "networking.istio.io,security.istio.io", read: istio.Import}
	cmd.AddCommand(o.command("istio", "Turn the configuration of Istio into a spec",
		`Istio reads VirtualService, DestinationRule, Gateway, ServiceEntry, Sidecar, AuthorizationPolicy, PeerAuthentication and
RequestAuthentication. Who may call whom is by AuthorizationPolicy: a service that none is for lets everyone of the mesh in.

Istio does not know which services a service calls. Without --calls it may call all that its Sidecar shows it and that allow its calls.`))
	o = importOptions{groups: "gateway.networking.k8s.io", read: gatewayapi.Import}
	cmd.AddCommand(o.command("gateway-api", "Turn objects of the Gateway API into a spec",
		`Gateway-api reads Gateway, HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, BackendTLSPolicy and ReferenceGrant. The order of
precedence between routes becomes the order of routes. A service lets in the gateways whose routes lead to it, and those
that --calls names; routes whose parent is a Service are for everyone of the mesh.`))
	o = importOptions{groups: "gateway.networking.k8s.io," + linkerdGroups + "," + workloadGroups, read: linkerd.Import}
	cmd.AddCommand(o.command("linkerd", "Turn the configuration of Linkerd into a spec",
		`Linkerd reads Server, ServerAuthorization, AuthorizationPolicy, MeshTLSAuthentication, NetworkAuthentication,
HTTPLocalRateLimitPolicy, EgressNetwork, ServiceProfile, TrafficSplit, routes, Ingresses, and the annotations of Services,
routes, pods and namespaces. Who may call whom is by the policies of Servers, and else by the default policy.

Linkerd does not know which services a service calls. Without --calls it may call all that allow its calls.`))
	o = importOptions{groups: "gateway.networking.k8s.io," + consulGroup + "," + workloadGroups, read: consul.Import}
	cmd.AddCommand(o.command("consul", "Turn the configuration of Consul's service mesh into a spec",
		`Consul reads service-defaults, proxy-defaults, service-router, service-splitter, service-resolver, service-intentions,
ingress-gateway, jwt-provider and mesh: as config entries in HCL (files that end in .hcl) and JSON, and as custom resources;
definitions of services on hosts; and the annotations of pods. Who may call whom is by the intentions.

A service calls its upstreams, and in Kubernetes, where its calls are redirected, all that allow its calls.`))
	o = importOptions{groups: workloadGroups, read: kubernetes.Import}
	cmd.AddCommand(o.command("kubernetes", "Turn workloads that have no mesh into a first spec",
		`Kubernetes reads Services, workloads, their probes, Ingresses and NetworkPolicies. A service that no NetworkPolicy selects
is permissive: callers without a proxy are let in as before, and members with their identities. Others let in whom the
policies let in: addresses as before, and pods when they have an identity.

Whom a workload calls is in no object but NetworkPolicies. Other calls pass undeclared until they are written down, except
those of pods that a NetworkPolicy selects for egress: name these with --calls before a workload gets its proxy.`))
	return cmd
}

// workloadGroups are the groups of the objects that are read of workloads without a mesh, besides Services and
// workloads themselves.
const workloadGroups = "networking.k8s.io,batch"

// linkerdGroups are the groups of Linkerd's own objects.
const linkerdGroups = "policy.linkerd.io,linkerd.io,split.smi-spec.io"

// consulGroup is the group of Consul's custom resources.
const consulGroup = "consul.hashicorp.com"

// reader makes a mesh of objects.
type reader func(objects []*importer.Object, o importer.Options) *importer.Mesh

// importOptions are the flags of meshc import and its commands.
type importOptions struct {
	importer.Options
	files, calls []string
	// cluster is set to read one in place of files: target, and there the objects of groups.
	cluster bool
	target  targetFlags
	groups  string
	// output is the directory for the repository; empty for one file on the standard output.
	output            string
	namespace, format string
	read              reader
	// only is the namespace whose objects are read; empty for all.
	only string
	// module is the path of the CUE module that is written; empty for NAME.example/mesh.
	module string
}

// command is the command of a source, with options of its own.
func (o importOptions) command(name, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name + " -f FILE...",
		Short: short,
		Long:  long,
		Example: "  meshc import " + name + ` -f manifests/ --name shop -o mesh
  kustomize build . | meshc import ` + name + ` -f - --name shop
  meshc import ` + name + ` --cluster --calls frontend=cart,checkout --calls checkout=payment`,
		Args: cobra.NoArgs,
		RunE: o.run,
	}
	cmd.Flags().StringArrayVarP(&o.files, "filename", "f", nil,
		"file or directory with manifests; - is the standard input")
	cmd.Flags().BoolVar(&o.cluster, "cluster", false, "read the cluster instead of files")
	cmd.Flags().StringVarP(&o.output, "output", "o", "",
		"new directory for the mesh repository (default: one file on the standard output)")
	cmd.Flags().StringVarP(&o.namespace, "namespace", "n", "default", "namespace of objects that name none")
	cmd.Flags().StringVar(&o.Name, "name", "mesh", "name of the mesh")
	cmd.Flags().StringVar(&o.TrustDomain, "trust-domain", "cluster.local", "SPIFFE trust domain of the mesh")
	cmd.Flags().StringVar(&o.ClusterDomain, "cluster-domain", "",
		"DNS domain of the cluster (default: the one in which objects name services, else cluster.local)")
	cmd.Flags().StringArrayVar(&o.calls, "calls", nil, "whom a service calls: CALLER=CALLEE,CALLEE")
	cmd.Flags().StringVar(&o.format, "format", "text", "form of the findings: text, json, sarif or github")
	if name == "import" || name == "consul" {
		cmd.Flags().StringVar(&o.DefaultIntentions, "default-intentions", "",
			"what holds in Consul without an intention: allow or deny (default: deny, which is told)")
	}
	cmd.Flags().StringVar(&o.only, "only", "", "the namespace whose objects are read (default: all)")
	o.target.addCluster(cmd.Flags())
	return cmd
}

// run imports, writes the mesh and prints what is not carried over.
func (o *importOptions) run(cmd *cobra.Command, _ []string) error {
	format, err := diag.ParseFormat(o.format)
	if err != nil {
		return usage(err)
	}
	if !goodName.MatchString(o.Name) {
		return usage(fmt.Errorf(
			"%q is not a valid name for a mesh: lower case letters, digits and dashes, beginning with a letter",
			o.Name))
	}
	if o.Calls, err = callsOf(o.calls); err != nil {
		return usage(err)
	}
	if !slices.Contains([]string{"", "allow", "deny"}, o.DefaultIntentions) {
		return usage(fmt.Errorf("--default-intentions is %q: write allow or deny", o.DefaultIntentions))
	}
	if o.cluster == (len(o.files) > 0) {
		return usage(errors.New("import needs -f FILE, -f - for the standard input, or --cluster"))
	}
	inputs, err := o.inputs(cmd)
	if err != nil {
		return err
	}
	var objects []*importer.Object
	var found diag.List
	shown := fstest.MapFS{}
	for _, in := range inputs {
		more, problems, ok := consul.Read(in.name, in.data)
		if !ok {
			more, problems = importer.Read(in.name, in.data, o.namespace)
		}
		objects = append(objects, more...)
		found.Add(problems...)
		shown[in.name] = &fstest.MapFile{Data: in.data}
	}
	if o.only != "" {
		objects = slices.DeleteFunc(objects, func(i *importer.Object) bool { return i.Metadata.Namespace != o.only })
		if len(objects) == 0 {
			return fmt.Errorf("there is nothing in the namespace %s that can be imported", o.only)
		}
	}
	m := o.read(objects, o.Options)
	if err := knownCalls(o.Calls, m); err != nil {
		return err
	}
	found.Add(m.Found...)
	wrong, err := wrongIn(cmd.Context(), m)
	if err != nil {
		return err
	}
	found.Add(wrong...)
	found.Sort()
	if err := o.write(cmd, m); err != nil {
		return err
	}
	return o.print(cmd, found, format, shown)
}

// print prints the findings, with the lines of the manifests that they are about.
func (o *importOptions) print(cmd *cobra.Command, found diag.List, format diag.Format, files fs.FS) error {
	w := cmd.ErrOrStderr()
	if o.output != "" && format != diag.Text {
		w = cmd.OutOrStdout()
	}
	if err := diag.Print(w, found, format, diag.PrintOptions{
		Color: colored(w), Version: version(),
		Files: files,
	}); err != nil {
		return err
	}
	if format == diag.Text && len(found) > 0 {
		fmt.Fprintf(w, "\n%s\n", found.Summary())
	}
	if found.HasErrors() {
		return errFindings
	}
	return nil
}

// inputs are the manifests of the files or of the cluster.
func (o *importOptions) inputs(cmd *cobra.Command) ([]input, error) {
	if !o.cluster {
		return fileInputs(cmd, o.files)
	}
	c, err := o.target.open()
	if err != nil {
		return nil, err
	}
	data, err := c.Objects(cmd.Context(), strings.Split(o.groups, ","))
	if err != nil {
		return nil, err
	}
	return []input{{"cluster", data}}, nil
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

// knownCalls refuses calls of services, or by services, that the mesh does not have.
func knownCalls(calls map[string][]string, m *importer.Mesh) error {
	known := slices.Sorted(maps.Keys(m.Repository.Services))
	callees := append(slices.Sorted(maps.Keys(m.Repository.External)), known...)
	for _, caller := range slices.Sorted(maps.Keys(calls)) {
		if !slices.Contains(known, caller) {
			return unknownCall(caller, known)
		}
		for _, callee := range calls[caller] {
			if !slices.Contains(callees, callee) {
				return unknownCall(callee, callees)
			}
		}
	}
	return nil
}

func unknownCall(name string, known []string) error {
	hint := "the services are " + strings.Join(known, ", ")
	if near := similar.Name(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Errorf("--calls names %q, and no service of that name was read\n  hint: %s", name, hint)
}

// input is a stream of manifests by the name that findings give it.
type input struct {
	name string
	data []byte
}

// fileInputs are the files, and those of YAML, JSON and HCL in the directories.
func fileInputs(cmd *cobra.Command, names []string) ([]input, error) {
	var out []input
	for _, name := range names {
		files := []string{name}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			files = nil
			err := filepath.WalkDir(name, func(file string, entry fs.DirEntry, err error) error {
				if err == nil && !entry.IsDir() &&
					slices.Contains([]string{".yaml", ".yml", ".json", ".hcl"}, filepath.Ext(file)) {
					files = append(files, file)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			if len(files) == 0 {
				return nil, fmt.Errorf("%s has no files of YAML, JSON or HCL", name)
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

// write writes the mesh as a repository, or as one file.
func (o *importOptions) write(cmd *cobra.Command, m *importer.Mesh) error {
	if o.output == "" {
		text, err := m.File()
		if same := (*importer.SameNameError)(nil); errors.As(err, &same) {
			return fmt.Errorf("%w\n  hint: -o DIRECTORY writes each service in a directory", err)
		}
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	files, err := moduleFiles(cmp.Or(o.module, m.Name+".example/mesh"))
	if err != nil {
		return err
	}
	imported, err := m.Files()
	if err != nil {
		return err
	}
	maps.Copy(files, imported)
	return layOutNew(o.output, files)
}
