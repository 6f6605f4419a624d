package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/serve"
)

// rotateOptions are the flags of meshc certs rotate-root.
type rotateOptions struct {
	authority      authorityFlags
	passphraseFile string
	// servers are asked; except are proxies and hosts that are gone for good.
	servers, except []string
	status          bool
}

func newCertsRotateRootCmd() *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate-root",
		Short: "Replace the root of the embedded authority, stage by stage",
		Long: `Rotate-root goes on by one stage each time it is run:

  1. a new root is made, and trusted beside the old one, which signs on;
  2. the new one signs: hosts renew their certificates at once;
  3. the old one is no longer trusted.

It refuses to go on while any proxy, or any host that keeps a certificate, has not taken the stage before, or while a
certificate is still in use that the old root signed. A proxy or host that is gone for good is named by --except, as it is
listed here, or by its identity. On a host that does not keep its certificate (certs request --keep), run certs request
again at each stage. With --status it says how far the rotation is, and what stands against the next stage, and does
nothing.

When the root's key is encrypted, the new one's is by the same passphrase.

Run it where the authority's directory is, or with a kubeconfig that may read and change the Secret of --ca-secret; meshc
serve, which follows it, is asked who has taken what. Of several servers each knows its own proxies: name all of them.`,
		Example: `  meshc certs rotate-root --ca ~/.meshc/ca --status
  meshc certs rotate-root --ca ~/.meshc/ca --server 127.0.0.1:15011
  meshc certs rotate-root --ca-secret shop-system/meshc-authority --server 127.0.0.1:15011,127.0.0.1:25011`,
		Args: cobra.NoArgs,
		RunE: o.run,
	}
	o.authority.add(cmd)
	cmd.Flags().StringSliceVar(&o.servers, "server", []string{usualServer},
		"admin addresses of all meshc serve that have the authority")
	cmd.Flags().StringVar(&o.passphraseFile, "passphrase-file", "",
		"file with the passphrase by which the new root's key is encrypted")
	cmd.Flags().StringSliceVar(&o.except, "except", nil,
		"proxies and hosts that are gone for good, by name or identity")
	cmd.Flags().BoolVar(&o.status, "status", false, "say how far the rotation is, and do nothing")
	return cmd
}

// run goes on by one stage, or says what stands against that.
func (o *rotateOptions) run(cmd *cobra.Command, _ []string) error {
	if o.passphraseFile != "" && o.authority.secret != "" {
		return usage(errors.New("--passphrase-file is for --ca: in a Secret no key of a root is kept"))
	}
	a, err := o.authority.open(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	against, err := o.standing(cmd, a.Rotation())
	if err != nil {
		return err
	}
	if o.status || len(against) > 0 {
		printRotation(out, a.Rotation(), against)
		if o.status {
			return nil
		}
		return errFindings
	}
	passphrase := secret.Value{}
	if o.passphraseFile != "" {
		if passphrase, err = ca.ReadPassphrase(o.passphraseFile); err != nil {
			return err
		}
	}
	now, err := a.Advance(passphrase, time.Now())
	if errors.Is(err, ca.ErrOldLeaves) {
		fmt.Fprintln(out, err)
		return errFindings
	}
	if err != nil {
		return err
	}
	printRotation(out, now, nil)
	return nil
}

// standing is what stands against the next stage, as the servers say, and that not all were asked.
func (o *rotateOptions) standing(cmd *cobra.Command, now ca.Rotation) ([]string, error) {
	servers := slices.Clone(o.servers)
	slices.Sort(servers)
	servers = slices.Compact(servers)
	var reports []*serve.Report
	for _, server := range servers {
		report, _, err := fetchStatus(cmd, server)
		if err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	against := serve.Obstacles(now, reports, o.except, time.Now())
	unasked, err := o.authority.unasked(cmd.Context(), len(reports))
	if unasked != "" {
		against = append(against, unasked)
	}
	return against, err
}

var stages = map[ca.Stage]string{
	ca.Steady:    "one root is trusted, and signs",
	ca.TrustBoth: "the new root is trusted beside the old one, which signs",
	ca.SignNew:   "the new root signs, and the old one is still trusted",
}

func printRotation(w io.Writer, now ca.Rotation, against []string) {
	fmt.Fprintf(w, "%s, since %s: %s\n", now.Stage, now.Since.Format(time.RFC3339), stages[now.Stage])
	if len(against) > 0 {
		fmt.Fprintf(w, "not yet:\n  %s\n", strings.Join(against, "\n  "))
	}
}
