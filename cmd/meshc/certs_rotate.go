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
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/ca"
)

func newCertsRotateRootCmd() *cobra.Command {
	var authority, server, passphraseFile string
	var except []string
	var look bool
	cmd := &cobra.Command{
		Use:   "rotate-root --ca DIR",
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

Run it where the authority's directory is; meshc serve, which follows the directory, is asked who has taken what.`,
		Example: `  meshc certs rotate-root --ca ~/.meshc/ca --status
  meshc certs rotate-root --ca ~/.meshc/ca --server 127.0.0.1:15011`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if authority == "" {
				return usage(errors.New("rotate-root needs --ca DIR"))
			}
			a, err := existing(authority)
			if err != nil {
				return err
			}
			report, _, err := fetchStatus(cmd, server)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			against := obstacles(a.Rotation(), report, except)
			if look {
				printRotation(out, a.Rotation(), against)
				return nil
			}
			if len(against) > 0 {
				printRotation(out, a.Rotation(), against)
				return errFindings
			}
			passphrase := secret.Value{}
			if passphraseFile != "" {
				if passphrase, err = ca.ReadPassphrase(passphraseFile); err != nil {
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
		},
	}
	cmd.Flags().StringVar(&authority, "ca", "", "directory of the embedded certificate authority")
	cmd.Flags().StringVar(&server, "server", "127.0.0.1:15011", "admin address of meshc serve")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "file with the passphrase by which the new root's key is encrypted")
	cmd.Flags().StringSliceVar(&except, "except", nil, "proxies and hosts that are gone for good, by name or identity")
	cmd.Flags().BoolVar(&look, "status", false, "say how far the rotation is, and do nothing")
	return cmd
}

// obstacles are what stands against the next stage.
func obstacles(now ca.Rotation, r *serve.Report, except []string) []string {
	if r.Rotation == nil {
		return []string{"meshc serve has no authority of its own (--ca)"}
	}
	if r.Rotation.Bundle != now.Bundle || r.Rotation.Signer != now.Signer {
		return []string{"meshc serve has not taken this stage yet, or serves another authority"}
	}
	if now.Stage == ca.Steady {
		return nil
	}
	var out []string
	held := map[string]bool{}
	for _, h := range r.Holders {
		held[h.Identity] = true
		if h.Trust != now.Bundle && !slices.Contains(except, h.Name) && !slices.Contains(except, h.Identity) {
			out = append(out, fmt.Sprintf("%s (%s) has not taken the stage", h.Name, h.Identity))
		}
	}
	for _, p := range r.Proxies {
		switch {
		case slices.Contains(except, p.Node) || slices.Contains(except, p.Identity) || p.Gone || p.Trust == serve.TrustByFile:
		case !p.Connected:
			out = append(out, p.Node+" is not connected: nobody knows whom it trusts")
		case p.Trust != now.Bundle:
			out = append(out, p.Node+" has not taken the stage")
		case !held[p.Identity]: // by its files it knows this server
			out = append(out, p.Node+" has taken the stage, and nobody knows whom its files trust: run meshc certs request there")
		}
	}
	if now.Stage == ca.SignNew && time.Now().Before(now.OldLeaves) {
		out = append(out, "certificates that the old root signed hold until "+now.OldLeaves.UTC().Format(time.RFC3339))
	}
	return out
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
