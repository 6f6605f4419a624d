package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/serve"
)

// operatorFlags are how an operator asks servers.
type operatorFlags struct {
	servers      []string
	certificates string
	// tokenFile has a token of Kubernetes, in place of certificates; trustFile the mesh's roots.
	tokenFile, trustFile string
}

func (o *operatorFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.servers, "server", nil,
		"addresses of all meshc serve: for proxies (default 127.0.0.1:15010), or with a token "+
			"for certificates (127.0.0.1:15012)")
	flags.StringVar(&o.tokenFile, "token-file", "", "file with a token of Kubernetes; - for standard input")
	flags.StringVar(&o.trustFile, "trust-file", "", "with it: file with the mesh's roots, in PEM")
	flags.StringVar(&o.certificates, "certificates", "",
		"directory with the operator's tls.crt and tls.key, and the mesh's roots in ca.crt")
}

// clients are one for each server, with what the operator shows.
func (o *operatorFlags) clients(cmd *cobra.Command) (out []*serve.OperatorClient, err error) {
	if (o.certificates == "") == (o.tokenFile == "") || (o.tokenFile == "") != (o.trustFile == "") {
		return nil, usage(errors.New(
			"an operator shows a certificate (--certificates), or a token (--token-file with --trust-file)"))
	}
	var token secret.Value
	usual := "127.0.0.1:15010"
	if o.tokenFile != "" {
		usual = "127.0.0.1:15012"
		if token, err = readToken(cmd, o.tokenFile); err != nil {
			return nil, err
		}
	}
	if o.servers == nil {
		o.servers = []string{usual}
	}
	for _, server := range o.servers {
		var client *serve.OperatorClient
		if o.tokenFile != "" {
			client, err = serve.OperatorToken(server, token, o.trustFile)
		} else {
			client, err = serve.OperatorDirectory(server, o.certificates)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, client)
	}
	return out, nil
}
