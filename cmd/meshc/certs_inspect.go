package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

func newCertsInspectCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE|DIR...",
		Short: "Show certificates: whose they are, who signed them, how long they hold",
		Long: `Inspect shows the certificates of files in PEM and of certificate directories. Of a directory it also says whether its
chain ends at whom it trusts. It shows no key.

It exits with 1 if a certificate has expired, or a directory's chain is not to be trusted.`,
		Example: `  meshc certs inspect /etc/meshc/certificates`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bad := false
			for i, name := range args {
				if len(args) > 1 {
					if i > 0 {
						fmt.Fprintln(cmd.OutOrStdout())
					}
					fmt.Fprintln(cmd.OutOrStdout(), name)
				}
				good, err := inspect(cmd, name, time.Now())
				if err != nil {
					return err
				}
				bad = bad || !good
			}
			if bad {
				return errFindings
			}
			return nil
		},
	}
}

// renewal is a line that says until when a certificate is renewed without a new proof; nothing for one that does not
// say.
func renewal(leaf *x509.Certificate) string {
	proof, ok := ca.ProofOf(leaf)
	if !ok {
		return ""
	}
	return fmt.Sprintf("it is renewed until %s, and after that for a new proof: a join token, or a pod's service account token\n", proof.RenewableUntil.UTC().Format(time.RFC3339))
}

// maxCertificates bounds a file of certificates, in bytes.
const maxCertificates = 4 << 20

func inspect(cmd *cobra.Command, name string, now time.Time) (good bool, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return false, err
	}
	out := cmd.OutOrStdout()
	if info.IsDir() {
		held, err := svid.Read(name)
		if err != nil {
			return false, err
		}
		if err := svid.Inspect(out, append(held.Chain, svid.Certificates(held.Bundle)...), now); err != nil {
			return false, err
		}
		if held.Root(now) == nil {
			fmt.Fprintln(out, "\nthe chain is not to be trusted: it has expired, or ends at none of the roots")
			return false, nil
		}
		fmt.Fprintf(out, "\nit is %s, signed by %s\n%s", held.ID, held.Root(now).
			Subject.CommonName, renewal(held.Leaf()))
		return true, nil
	}
	if !info.Mode().IsRegular() || info.Size() > maxCertificates {
		return false, usage(fmt.Errorf("%s is not a file of certificates", name))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	list, err := publickey.CertificatesAlone(data)
	if err != nil {
		return false, usage(fmt.Errorf("%s: %w", name, err))
	}
	good = true
	for _, c := range list {
		good = good && now.Before(c.NotAfter)
	}
	return good, svid.Inspect(out, list, now)
}
