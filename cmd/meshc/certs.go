package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/render/certificates"
)

func newCertsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "Get, look at, renew and revoke certificates, and replace the root",
		Long: `Certs looks after the SPIFFE certificates of hosts outside Kubernetes, and after the root of the authority that meshc
serve embeds. Keys are made where they are used, and never travel.`,
		Example: `  meshc certs inspect /etc/meshc/certificates`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertsRequestCmd(), newCertsInstallCmd(), newCertsInspectCmd(), newCertsTokenCmd(),
		newCertsRotateRootCmd(), newCertsRevokeCmd(), newCertsRevokedCmd(), newCertsApproveCmd())
	return cmd
}

// maxParameters bounds a file of parameters, in bytes.
const maxParameters = 1 << 20

// parameters are those of a member, as compile has written them.
func parameters(file string) (*certificates.Parameters, spiffeid.ID, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, spiffeid.ID{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxParameters {
		return nil, spiffeid.ID{}, usage(fmt.Errorf("%s is not a file of certificate parameters", file))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, spiffeid.ID{}, err
	}
	p := &certificates.Parameters{}
	if err := yaml.UnmarshalStrict(data, p); err != nil || p.Kind != certificates.ParametersKind ||
		p.APIVersion != certificates.ParametersAPIVersion {
		return nil, spiffeid.ID{},
			usage(fmt.Errorf("%s is not a file of certificate parameters: give one of certificates/NAMESPACE/ that meshc compile has written", file))
	}
	id, err := spiffeid.FromString(p.Identity)
	if err != nil {
		return nil, spiffeid.ID{}, usage(fmt.Errorf("%s: identity %q is not a valid SPIFFE ID", file, p.Identity))
	}
	return p, id, nil
}

func newCertsInstallCmd() *cobra.Command {
	var directory, certificate, trust string
	cmd := &cobra.Command{
		Use:   "install PARAMETERS --certificate CHAIN --trust BUNDLE",
		Short: "Put a certificate in its place that somebody signed",
		Long: `Install takes what an issuer of yours made of the request that "meshc certs request" wrote: the chain, the leaf first, and
the roots to trust, both in PEM. It checks that they belong to the key, and puts all of it into the member's certificate
directory in one step.`,
		Example: `  meshc certs install out/certificates/shop/payment.yaml --certificate signed.crt --trust roots.crt`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, id, err := parameters(args[0])
			if err != nil {
				return err
			}
			if certificate == "" || trust == "" {
				return usage(errors.New("install needs --certificate and --trust"))
			}
			if directory == "" {
				directory = p.Directory
			}
			chain, err := os.ReadFile(certificate)
			if err != nil {
				return err
			}
			bundle, err := os.ReadFile(trust)
			if err != nil {
				return err
			}
			held, err := svid.Install(directory, id, chain, bundle, time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has a certificate of %s until %s\n", directory, id, held.Leaf().
				NotAfter.UTC().Format(time.RFC3339))
			return nil
		},
	}
	cmd.Flags().StringVar(&directory, "directory", "", "certificate directory (default that of the parameters)")
	cmd.Flags().StringVar(&certificate, "certificate", "", "file with the chain in PEM, the leaf first")
	cmd.Flags().StringVar(&trust, "trust", "", "file with the roots in PEM")
	return cmd
}
