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

func newCertsRotateRootCmd() *cobra.Command {
	var authority authorityFlags
	var passphraseFile string
	var servers, except []string
	var look bool
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			if passphraseFile != "" && authority.secret != "" {
				return usage(errors.New("--passphrase-file is for --ca: in a Secret no key of a root is kept"))
			}
			a, err := authority.open(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			against, err := standing(cmd, &authority, a.Rotation(), servers, except)
			if err != nil {
				return err
			}
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
	authority.add(cmd)
	cmd.Flags().StringSliceVar(&servers, "server", []string{"127.0.0.1:15011"}, "admin addresses of all meshc serve that have the authority")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "file with the passphrase by which the new root's key is encrypted")
	cmd.Flags().StringSliceVar(&except, "except", nil, "proxies and hosts that are gone for good, by name or identity")
	cmd.Flags().BoolVar(&look, "status", false, "say how far the rotation is, and do nothing")
	return cmd
}

// standing is what stands against the next stage, as the servers say, and that not all were asked.
func standing(cmd *cobra.Command, authority *authorityFlags, now ca.Rotation, servers, except []string) ([]string, error) {
	servers = slices.Clone(servers)
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
	against := obstacles(now, reports, except)
	unasked, err := authority.unasked(cmd.Context(), len(reports))
	if unasked != "" {
		against = append(against, unasked)
	}
	return against, err
}

// obstacles are what stands against the next stage, by the reports of all servers.
func obstacles(now ca.Rotation, reports []*serve.Report, except []string) []string {
	for _, r := range reports {
		if r.Rotation == nil {
			return []string{"meshc serve has no authority of its own (--ca)"}
		}
		if r.Rotation.Bundle != now.Bundle || r.Rotation.Signer != now.Signer {
			return []string{"meshc serve has not taken this stage yet, or serves another authority"}
		}
	}
	if now.Stage == ca.Steady {
		return nil
	}
	var out []string
	held := map[string]bool{}
	for _, h := range holders(reports, now.Bundle) {
		held[h.Identity] = true
		if h.Trust != now.Bundle && !slices.Contains(except, h.Name) && !slices.Contains(except, h.Identity) {
			out = append(out, fmt.Sprintf("%s (%s) has not taken the stage", h.Name, h.Identity))
		}
	}
	for _, p := range proxies(reports) {
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
	slices.Sort(out)
	return slices.Compact(out) // several servers may say the same
}

// holders are the hosts that keep certificates. One that has taken the bundle from some server has it, whatever another server has
// seen of it before.
func holders(reports []*serve.Report, bundle string) (out []serve.Holder) {
	for i, r := range reports {
		for _, h := range r.Holders {
			if h.Trust == bundle || !slices.ContainsFunc(slices.Concat(reports[:i], reports[i+1:]), func(other *serve.Report) bool {
				return slices.ContainsFunc(other.Holders, func(o serve.Holder) bool { return o.Identity == h.Identity && o.Name == h.Name && o.Trust == bundle })
			}) {
				out = append(out, h)
			}
		}
	}
	return out
}

// proxies are those of all servers: one that is connected to some server is none that is not connected.
func proxies(reports []*serve.Report) (out []serve.Proxy) {
	connected := map[string]bool{}
	for _, r := range reports {
		for i := range r.Proxies {
			connected[r.Proxies[i].Node] = connected[r.Proxies[i].Node] || r.Proxies[i].Connected
		}
	}
	told := map[string]bool{}
	for _, r := range reports {
		for _, p := range r.Proxies {
			if p.Connected || !connected[p.Node] && !told[p.Node] {
				out = append(out, p)
				told[p.Node] = true
			}
		}
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
