package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/csr"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/render/certificates"
)

// requestOptions are the flags of meshc certs request.
type requestOptions struct {
	// directory is where the certificate goes, which is that of the parameters when none is given.
	directory string
	// server signs, for a join token or for a pod's service account token.
	server, tokenFile, accountFile string
	// signer is that of a CertificateSigningRequest, in place of a server.
	signer    string
	api       apiserver.API
	trustFile string
	keep      bool
}

func newCertsRequestCmd() *cobra.Command {
	var o requestOptions
	cmd := &cobra.Command{
		Use:   "request PARAMETERS",
		Short: "Make a key, and have it signed",
		Long: `Request makes a key on this host, for the member whose parameters meshc compile wrote to certificates/NAMESPACE/, and has
it signed. With --server that is done by the authority of meshc serve: the first time for a join token, which is read from
a file or from standard input ("-"), later for the certificate that still holds. A pod shows its service account token
instead, of a projected volume whose audience is the server's identity, and reads the trust bundle from a file. Without
--server, the certificate request is written beside the key for somebody else to sign, and "meshc certs install" puts what
comes back in its place.

A certificate is renewed by itself for mesh.certificates.renewFor since the last token. What keeps it warns before that is
over; then, or before, run request again for the same directory with a new join token, beside it. A pod shows its token each
time.

With --signer a pod asks by a CertificateSigningRequest of Kubernetes, which "meshc certs approve" approves and that signer
signs; the trust bundle is then in --trust-file.

The certificate, its key and the trust bundle are put into the member's certificate directory, in one step, with the two
files by which Envoy is told of them. Run it as the user that Envoy runs as. With --keep it stays, renews the certificate
in time, and follows the authority when its root is replaced.`,
		Example: `  meshc certs request out/certificates/shop/payment.yaml --server mesh.internal:15012 --token-file token --keep
  meshc certs request out/certificates/shop/payment.yaml     # writes a request for somebody else to sign`,
		Args: cobra.ExactArgs(1),
		RunE: o.run,
	}
	cmd.Flags().StringVar(&o.directory, "directory", "", "certificate directory (default that of the parameters)")
	cmd.Flags().StringVar(&o.server, "server", "", "where meshc serve signs (its --enroll-listen), HOST:PORT")
	cmd.Flags().StringVar(&o.tokenFile, "token-file", "", "file with a join token; - for standard input")
	cmd.Flags().StringVar(&o.accountFile, "service-account-token-file", "",
		"file with a pod's service account token, for the audience that is the server's identity")
	cmd.Flags().StringVar(&o.trustFile, "trust-file", "",
		"with it: file with the roots to trust for the first time, in PEM")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "stay, and renew the certificate in time")
	cmd.Flags().StringVar(&o.signer, "signer", "",
		"in a pod: signer that a CertificateSigningRequest of Kubernetes names")
	addAPI(cmd, &o.api)
	return cmd
}

// run makes the key, and has it signed by the way that the flags choose.
func (o *requestOptions) run(cmd *cobra.Command, args []string) error {
	p, id, err := parameters(args[0])
	if err != nil {
		return err
	}
	if o.directory == "" {
		o.directory = p.Directory
	}
	if o.directory == "" {
		return usage(errors.New("the parameters name no directory: give one with --directory"))
	}
	if o.directory, err = filepath.Abs(o.directory); err != nil {
		return err
	}
	keeper := &svid.Keeper{
		ID: id, Directory: o.directory, Key: p.Key, RenewBefore: time.Duration(p.RenewBefore),
		Log: newLog(cmd.ErrOrStderr()),
	}
	switch {
	case o.signer != "":
		keeper.Digest = csr.Digest
		keeper.Issuer, err = o.requester(time.Duration(p.Lifetime))
	case o.server == "":
		return o.prepare(cmd, args[0], keeper)
	default:
		keeper.Digest = ca.Digest
		keeper.Issuer, err = o.client(cmd, args[0], p, id)
	}
	if err != nil {
		return err
	}
	return obtain(cmd, o.keep, keeper)
}

// requester asks by CertificateSigningRequests.
func (o *requestOptions) requester(lifetime time.Duration) (svid.Issuer, error) {
	if o.server != "" || o.tokenFile != "" || o.accountFile != "" || o.trustFile == "" || o.api.Address == "" {
		return nil, usage(errors.New("--signer needs --kubernetes-api and --trust-file, and nothing of --server"))
	}
	return csr.NewRequester(o.api, o.signer, o.trustFile, o.directory, lifetime)
}

// prepare writes a request for somebody else to sign.
func (o *requestOptions) prepare(cmd *cobra.Command, file string, k *svid.Keeper) error {
	if o.keep || o.tokenFile != "" || o.accountFile != "" || o.trustFile != "" {
		return usage(errors.New("--keep, --token-file, --service-account-token-file and --trust-file are for --server"))
	}
	request, err := svid.Prepare(o.directory, k.Key, k.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(),
		"%s asks for %s. Have it signed, and then:\n  meshc certs install %s --certificate CHAIN --trust BUNDLE\n",
		request, k.ID, file)
	return nil
}

// client asks the authority of meshc serve. A join token for somebody else is refused here: asking would use it up.
func (o *requestOptions) client(cmd *cobra.Command, file string, p *certificates.Parameters,
	id spiffeid.ID,
) (svid.Issuer, error) {
	server, err := spiffeid.FromString(p.ServerIdentity)
	if err != nil {
		return nil, usage(fmt.Errorf("%s: serverIdentity %q is not a valid SPIFFE ID", file, p.ServerIdentity))
	}
	if (o.accountFile == "") != (o.trustFile == "") || o.accountFile != "" && o.tokenFile != "" {
		return nil, usage(errors.New("--service-account-token-file needs --trust-file, and no --token-file"))
	}
	client := &enroll.Client{
		Address: o.server, Server: server, Directory: o.directory, Holder: holderName(o.directory),
		ServiceAccountTokenFile: o.accountFile, TrustFile: o.trustFile,
	}
	if o.tokenFile == "" {
		return client, nil
	}
	if client.Token, err = readToken(cmd, o.tokenFile); err != nil {
		return nil, err
	}
	token, err := ca.ReadToken(string(client.Token.Reveal()))
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w", o.tokenFile, err))
	}
	if token.Subject != id.String() {
		return nil, usage(fmt.Errorf("the join token is for %s, and the parameters are those of %s", token.Subject, id))
	}
	return client, nil
}

// addAPI adds how a pod reaches the API server.
func addAPI(cmd *cobra.Command, api *apiserver.API) {
	cmd.Flags().StringVar(&api.Address, "kubernetes-api", "", "API server of the cluster, https://HOST:PORT")
	cmd.Flags().StringVar(&api.TokenFile, "kubernetes-token-file", apiserver.PodTokenFile,
		"file with this pod's own token for it")
	cmd.Flags().StringVar(&api.CAFile, "kubernetes-ca-file", apiserver.PodCAFile,
		"file with the roots of its certificate, in PEM")
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
	fmt.Fprintf(cmd.OutOrStdout(), "%s has a certificate of %s until %s\n%s", k.Directory, k.ID, held.Leaf().
		NotAfter.UTC().Format(time.RFC3339), renewal(held.Leaf()))
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
