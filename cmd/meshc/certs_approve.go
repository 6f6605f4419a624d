package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/csr"
	cluster "github.com/meshc/meshc/serve/kubernetes"
)

func newCertsApproveCmd() *cobra.Command {
	var signer, namespace string
	var api apiserver.API
	cmd := &cobra.Command{
		Use:   "approve",
		Short: "Approve what pods of the mesh ask for",
		Long: `Approve runs in a cluster beside meshc serve, where mesh.certificates.issuer is a CertificateSigningRequest. It approves
requests to the signer that are of a service account for the identity of the member whose account that is, and for nothing
else; what such an account asks for besides is denied. Requests of others are left to others.`,
		Example: `  meshc certs approve --signer clusterissuers.cert-manager.io/mesh-ca --kubernetes-api https://kubernetes.default.svc --kubernetes-namespace shop-system`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if signer == "" || api.Address == "" || namespace == "" {
				return usage(errors.New("approve needs --signer, --kubernetes-api and --kubernetes-namespace"))
			}
			mesh := func(ctx context.Context, client apiserver.Client) (*ir.Mesh, error) {
				return cluster.ReadMesh(ctx, client, namespace, meshLabel)
			}
			approver, err := csr.NewApprover(api, signer, mesh, newLog(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			approver.Run(cmd.Context())
			return nil
		},
	}
	cmd.Flags().StringVar(&signer, "signer", "", "signer whose requests are approved")
	cmd.Flags().StringVar(&namespace, "kubernetes-namespace", "", "namespace of the compiled mesh, MESH-system")
	addAPI(cmd, &api)
	return cmd
}
