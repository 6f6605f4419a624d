package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
)

func newCertsTokenCmd() *cobra.Command {
	var authority authorityFlags
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "token PARAMETERS",
		Short: "Make a join token, by which a host gets its first certificate",
		Long: `Token makes a join token for the member whose parameters meshc compile wrote: signed by the embedded authority, for that
one identity, to be used once, within minutes. It also names the authority's roots, so that the host knows the server.
Whoever has it is that member: give it to the host by a way that nobody else can read.`,
		Example: `  meshc certs token out/certificates/shop/payment.yaml --ca ~/.meshc/ca > token
  meshc certs token out/certificates/shop/payment.yaml --ca-secret shop-system/meshc-authority > token`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, id, err := parameters(args[0])
			if err != nil {
				return err
			}
			server, err := spiffeid.FromString(p.ServerIdentity)
			if err != nil {
				return usage(fmt.Errorf("%s: serverIdentity %q is not a valid SPIFFE ID", args[0], p.ServerIdentity))
			}
			a, err := authority.open(cmd.Context())
			if err != nil {
				return err
			}
			token, err := a.IssueToken(server, id, life, time.Now())
			if err != nil {
				return usage(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			return nil
		},
	}
	authority.add(cmd)
	cmd.Flags().DurationVar(&life, "life", 10*time.Minute, "how long it may be used, at most "+ca.MaxTokenLife.String())
	return cmd
}

// maxToken bounds a file with a join token, in bytes.
const maxToken = 8 << 10

func readToken(cmd *cobra.Command, file string) (secret.Value, error) {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return secret.Value{}, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxToken))
	if err != nil {
		return secret.Value{}, err
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return secret.Value{}, usage(fmt.Errorf("%s holds no token", file))
	}
	return secret.New([]byte(text)), nil
}
