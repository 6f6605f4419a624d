// Package csr gets pods their certificates by CertificateSigningRequests of Kubernetes
// (certificates.k8s.io/v1). A [Requester] asks in the pod, where the key stays; an [Approver]
// approves what asks for the identity of the service account that asks, of a member of the mesh, and
// nothing more; a signer of the cluster's own signs, as cert-manager does.
package csr
