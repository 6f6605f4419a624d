package main

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the linker: -ldflags "-X main.release=v1.2.3".
var release string

// version is meshc's own: that of the release, else of the module as Go built it.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// released are versions of which there is an image of meshc, unlike those that Go makes of a commit.
var released = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[a-z]+(\.\d+)?)?$`)

// imageTag is the tag of meshc's own image of this build, empty for a development build: what the
// linker was given, as "make images" has it too, or the version of a release.
func imageTag() string {
	if release != "" {
		return release
	}
	if v := version(); released.MatchString(v) {
		return v
	}
	return ""
}

func newVersionCmd() *cobra.Command {
	var output output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of meshc and of what it is built from",
		Long:  `Version prints the version of meshc, of Go, and of the libraries that decide what a mesh compiles to.`,
		Example: `  meshc version
  meshc version -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version string `json:"version"`
				Commit  string `json:"commit,omitempty"`
				Go      string `json:"go"`
				CUE     string `json:"cue,omitempty"`
				Envoy   string `json:"envoyAPI,omitempty"`
			}{Version: version(), Go: runtime.Version()}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Commit = s.Value
					}
				}
				for _, d := range info.Deps {
					switch d.Path {
					case "cuelang.org/go":
						v.CUE = d.Version
					case "github.com/envoyproxy/go-control-plane/envoy":
						v.Envoy = d.Version
					}
				}
			}
			if output.program() {
				return output.print(cmd.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "meshc %s\ngo %s\ncue %s\nenvoy API %s\n", v.Version, v.Go, v.CUE,
				v.Envoy)
			return err
		},
	}
	output.add(cmd, "text", "json", "yaml")
	return cmd
}
