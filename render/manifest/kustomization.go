package manifest

// The files that Kustomize looks for in a directory.
const kustomizationFile = "kustomization.yaml"

// Kustomization is a directory's kustomization.yaml: what is built from the
// directory. It transforms nothing.
type Kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Resources  []string `json:"resources,omitempty"`
	Patches    []Patch  `json:"patches,omitempty"`
}

// Patch is a file that changes the objects of a target.
type Patch struct {
	Path   string      `json:"path"`
	Target PatchTarget `json:"target"`
}

// PatchTarget selects objects. Name is a regular expression for the whole name.
type PatchTarget struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
	Name  string `json:"name"`
}

// Resources is a directory's kustomization.yaml that lists files and directories,
// relative to it, in the order in which they are applied.
func Resources(dir string, resources []string) (File, error) {
	return YAMLFile(join(dir, kustomizationFile), Kustomization{
		APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization", Resources: resources,
	})
}

// Component is a directory's kustomization.yaml that changes the objects of
// whoever includes it. A patch whose target is not among them does nothing.
func Component(dir string, patches []Patch) (File, error) {
	return YAMLFile(join(dir, kustomizationFile), Kustomization{
		APIVersion: "kustomize.config.k8s.io/v1alpha1", Kind: "Component", Patches: patches,
	})
}

func join(dir, file string) string {
	if dir == "" {
		return file
	}
	return dir + "/" + file
}
