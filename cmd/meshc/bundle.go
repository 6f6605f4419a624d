package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/review/bundle"
)

func newBundleCmd() *cobra.Command {
	var from bundle.Sources
	var output, dir string
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Put all that is needed to look at a problem into one file, without secrets",
		Long: `Bundle asks meshc serve and Envoys, and writes their answers into one file for somebody who looks at the problem elsewhere:
the mesh, what each proxy has acknowledged and is served, 15 minutes of the edges' numbers, what has changed; of each --envoy its
clusters, statistics and configuration; the spec; and the logs that are named. What cannot be had is told in manifest.json.

Secrets are taken out: keys, tokens, passwords, the values of headers and variables that are secret or say who a user is, and
query strings in logs. A file that still holds something that looks like a secret is left out. Names, addresses, paths of
requests and the policy of the mesh are in the bundle: look at it before you give it away (tar xzf).`,
		Example: `  meshc bundle -o problem.tar.gz
  meshc bundle --server 127.0.0.1:15011 --envoy 127.0.0.1:15000 --log /var/log/meshc.log -o problem.tar.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "" {
				return usage(errors.New("name the file to write (-o)"))
			}
			root, found := load.Root(dir)
			if found {
				from.Spec = root
			}
			from.Meshc = version()
			b := bundle.Collect(cmd.Context(), from, time.Now())
			if err := writeBundle(output, b); err != nil {
				return err
			}
			return printBundle(cmd, output, b)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "file to write, which is not there yet")
	addServers(cmd, &from.Servers)
	f.StringSliceVar(&from.Envoys, "envoy", nil, "admin addresses of Envoys, HOST:PORT")
	f.StringSliceVar(&from.Logs, "log", nil, "files with logs of meshc serve or of Envoys")
	f.StringVar(&dir, "spec", ".", "a directory of the spec's module")
	return cmd
}

// writeBundle writes a file that nobody else may read.
func writeBundle(name string, b *bundle.Bundle) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(b.Write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// readBundle reads a bundle from a file.
func readBundle(name string) (*bundle.Bundle, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bundle.Read(f)
}

// printBundle says what is in a bundle and what is not.
func printBundle(cmd *cobra.Command, name string, b *bundle.Bundle) error {
	files, values := 0, 0
	var missing []string
	for i := range b.Files {
		f := &b.Files[i]
		if f.Name != "" {
			files++
		}
		values += f.Redacted
		if f.Error != "" {
			missing = append(missing, fmt.Sprintf("  %s%s%s: %s\n", f.Address, f.Path, f.Source, f.Error))
		}
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s has %d files, with %d secrets taken out\n", name, files, values); err != nil {
		return err
	}
	if missing != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "not in it, or not whole:\n%s", strings.Join(missing, ""))
	}
	if files == 0 {
		return errFindings
	}
	return nil
}
