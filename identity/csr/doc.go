// Package csr gets certificates for pods by CertificateSigningRequests of Kubernetes (certificates.k8s.io/v1). In the
// pod a [Requester] creates the request; the private key stays there. An [Approver] approves a request only if it is
// for the identity of the service account that sends it, and if that account is the one of a member of the mesh. A
// signer in the cluster, for instance that of cert-manager, signs.
package csr
