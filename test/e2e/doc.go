// Package e2e has the tests that need a Kubernetes: they run with "make e2e", against
// the cluster of $KUBECONFIG, in which Flux and cert-manager run and the images of
// E2E_IMAGES are known to the nodes (test/e2e/run). They build and push nothing; the
// mesh and the applications are those of the directory shop.
package e2e
