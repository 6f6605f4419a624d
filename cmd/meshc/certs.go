package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/csr"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/identity/tokenreview"
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
	cmd.AddCommand(newCertsRequestCmd(), newCertsInstallCmd(), newCertsInspectCmd(), newCertsTokenCmd(), newCertsRotateRootCmd(), newCertsRevokeCmd(), newCertsRevokedCmd(), newCertsApproveCmd())
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
		return nil, spiffeid.ID{}, usage(fmt.Errorf("%s is no file of certificate parameters", file))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, spiffeid.ID{}, err
	}
	p := &certificates.Parameters{}
	if err := yaml.UnmarshalStrict(data, p); err != nil || p.Kind != certificates.ParametersKind || p.APIVersion != certificates.ParametersAPIVersion {
		return nil, spiffeid.ID{}, usage(fmt.Errorf("%s is no file of certificate parameters: give one of certificates/NAMESPACE/ that meshc compile has written", file))
	}
	id, err := spiffeid.FromString(p.Identity)
	if err != nil {
		return nil, spiffeid.ID{}, usage(fmt.Errorf("%s: identity %q is no SPIFFE ID", file, p.Identity))
	}
	return p, id, nil
}

func newCertsRequestCmd() *cobra.Command {
	var directory, server, tokenFile, accountFile, trustFile, signer string
	var api csr.API
	var keep bool
	cmd := &cobra.Command{
		Use:   "request PARAMETERS",
		Short: "Make a key, and have it signed",
		Long: `Request makes a key on this host, for the member whose parameters meshc compile wrote to certificates/NAMESPACE/, and has
it signed. With --server that is done by the authority of meshc serve: the first time for a join token, which is read from
a file or from standard input ("-"), later for the certificate that still holds. A pod shows its service account token
instead, of a projected volume whose audience is the server's identity, and is told whom to trust by a file. Without
--server, the certificate request is written beside the key for somebody else to sign, and "meshc certs install" puts what
comes back in its place.

A certificate is renewed by itself for mesh.certificates.renewFor since the last token. What keeps it warns before that is
over; then, or before, run request again for the same directory with a new join token, beside it. A pod shows its token each
time.

With --signer a pod asks by a CertificateSigningRequest of Kubernetes, which "meshc certs approve" approves and that signer
signs; whom to trust is then in --trust-file.

The certificate, its key and whom to trust are put into the member's certificate directory, in one step, with the two
files by which Envoy is told of them. Run it as the user that Envoy runs as. With --keep it stays, renews the certificate
in time, and follows the authority when its root is replaced.`,
		Example: `  meshc certs request out/certificates/shop/payment.yaml --server mesh.internal:15012 --token-file token --keep
  meshc certs request out/certificates/shop/payment.yaml     # writes a request for somebody else to sign`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, id, err := parameters(args[0])
			if err != nil {
				return err
			}
			if directory == "" {
				directory = p.Directory
			}
			if directory == "" {
				return usage(errors.New("the parameters name no directory: give one with --directory"))
			}
			if directory, err = filepath.Abs(directory); err != nil {
				return err
			}
			if signer != "" {
				if server != "" || tokenFile != "" || accountFile != "" || trustFile == "" || api.Address == "" {
					return usage(errors.New("--signer needs --kubernetes-api and --trust-file, and nothing of --server"))
				}
				requester, err := csr.NewRequester(api, signer, trustFile, directory, time.Duration(p.Lifetime))
				if err != nil {
					return err
				}
				return obtain(cmd, keep, &svid.Keeper{
					ID: id, Directory: directory, Key: p.Key, RenewBefore: time.Duration(p.RenewBefore),
					Issuer: requester, Digest: csr.Digest, Log: newLog(cmd.ErrOrStderr()),
				})
			}
			if server == "" {
				if keep || tokenFile != "" || accountFile != "" || trustFile != "" {
					return usage(errors.New("--keep, --token-file, --service-account-token-file and --trust-file are for --server"))
				}
				file, err := svid.Prepare(directory, p.Key, id)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s asks for %s. Have it signed, and then:\n  meshc certs install %s --certificate CHAIN --trust BUNDLE\n", file, id, args[0])
				return nil
			}
			serverID, err := spiffeid.FromString(p.ServerIdentity)
			if err != nil {
				return usage(fmt.Errorf("%s: serverIdentity %q is no SPIFFE ID", args[0], p.ServerIdentity))
			}
			if (accountFile == "") != (trustFile == "") || accountFile != "" && tokenFile != "" {
				return usage(errors.New("--service-account-token-file needs --trust-file, and no --token-file"))
			}
			client := &enroll.Client{
				Address: server, Server: serverID, Directory: directory, Holder: holderName(directory),
				ServiceAccountTokenFile: accountFile, TrustFile: trustFile,
			}
			if tokenFile != "" {
				if client.Token, err = readToken(cmd, tokenFile); err != nil {
					return err
				}
				token, err := ca.ReadToken(string(client.Token.Reveal()))
				if err != nil {
					return usage(fmt.Errorf("%s: %w", tokenFile, err))
				}
				if token.Subject != id.String() { // asking would use it up
					return usage(fmt.Errorf("the join token is for %s, and the parameters are those of %s", token.Subject, id))
				}
			}
			return obtain(cmd, keep, &svid.Keeper{
				ID: id, Directory: directory, Key: p.Key, RenewBefore: time.Duration(p.RenewBefore),
				Issuer: client, Digest: ca.Digest, Log: newLog(cmd.ErrOrStderr()),
			})
		},
	}
	cmd.Flags().StringVar(&directory, "directory", "", "certificate directory (default that of the parameters)")
	cmd.Flags().StringVar(&server, "server", "", "where meshc serve signs (its --enroll-listen), HOST:PORT")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with a join token; - for standard input")
	cmd.Flags().StringVar(&accountFile, "service-account-token-file", "", "file with a pod's service account token, for the audience that is the server's identity")
	cmd.Flags().StringVar(&trustFile, "trust-file", "", "with it: file with the roots to trust for the first time, in PEM")
	cmd.Flags().BoolVar(&keep, "keep", false, "stay, and renew the certificate in time")
	cmd.Flags().StringVar(&signer, "signer", "", "in a pod: signer that a CertificateSigningRequest of Kubernetes names")
	addAPI(cmd, &api)
	return cmd
}

// addAPI adds how a pod reaches the API server.
func addAPI(cmd *cobra.Command, api *csr.API) {
	cmd.Flags().StringVar(&api.Address, "kubernetes-api", "", "API server of the cluster, https://HOST:PORT")
	cmd.Flags().StringVar(&api.TokenFile, "kubernetes-token-file", tokenreview.PodTokenFile, "file with this pod's own token for it")
	cmd.Flags().StringVar(&api.CAFile, "kubernetes-ca-file", tokenreview.PodCAFile, "file with the roots of its certificate, in PEM")
}

// obtain gets a certificate, and with keep stays to renew it.
func obtain(cmd *cobra.Command, keep bool, k *svid.Keeper) error {
	if keep {
		k.Run(cmd.Context())
		return nil
	}
	held, err := k.Obtain(cmd.Context())
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s has a certificate of %s until %s\n%s", k.Directory, k.ID, held.Leaf().NotAfter.UTC().Format(time.RFC3339), renewal(held.Leaf()))
	return nil
}

// holderName tells this host's holders apart from those of others.
func holderName(directory string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + directory
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
			fmt.Fprintf(cmd.OutOrStdout(), "%s has a certificate of %s until %s\n", directory, id, held.Leaf().NotAfter.UTC().Format(time.RFC3339))
			return nil
		},
	}
	cmd.Flags().StringVar(&directory, "directory", "", "certificate directory (default that of the parameters)")
	cmd.Flags().StringVar(&certificate, "certificate", "", "file with the chain in PEM, the leaf first")
	cmd.Flags().StringVar(&trust, "trust", "", "file with the roots in PEM")
	return cmd
}
