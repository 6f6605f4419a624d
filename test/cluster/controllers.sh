#!/usr/bin/env bash
# Installs Flux's source- and kustomize-controller and cert-manager in the cluster of
# KUBECONFIG, or else of CLUSTER_DIR, from the manifests in their own modules, and a cluster issuer, mesh-ca,
# that signs with a root of its own.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
module() { go list -C "$here/controllers" -m -f '{{.Dir}}' "$1"; }
dir=$CLUSTER_DIR/controllers
mkdir -p "$dir" "$CLUSTER_DIR/log"
cert_manager=$(module github.com/cert-manager/cert-manager)
for file in "$cert_manager"/deploy/crds/*.yaml; do
	if [[ $file != *kustom* ]] && grep -q '^kind: .*CustomResourceDefinition' "$file"; then
		cat "$file"
		echo ---
	fi
done >"$dir/cert-manager-crds.yaml"
cp "$here/cert-manager.yaml" "$dir"
for controller in source kustomize; do
	rm -rf "${dir:?}/$controller"
	mkdir "$dir/$controller"
	cp -r "$(module "github.com/fluxcd/$controller-controller")/config"/{crd,manager} "$dir/$controller"
done
chmod -R u+w "$dir"
cp "$here/flux.yaml" "$dir"
cat >"$dir/kustomization.yaml" <<'Y'
resources: [cert-manager-crds.yaml, cert-manager.yaml, flux]
Y
mkdir -p "$dir/flux"
cat >"$dir/flux/kustomization.yaml" <<'Y'
namespace: flux-system
resources: [namespace.yaml, ../source/crd, ../source/manager, ../kustomize/crd, ../kustomize/manager]
patches: # those who wait for others look every 2 seconds, and not every 30
- target: {kind: Deployment, name: kustomize-controller}
  patch: '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--requeue-dependency=2s"}]'
images:
- {name: fluxcd/source-controller, newName: node.local/source-controller, newTag: "1"}
- {name: fluxcd/kustomize-controller, newName: node.local/kustomize-controller, newTag: "1"}
Y
mv "$dir/flux.yaml" "$dir/flux/namespace.yaml"
kubectl apply --server-side -k "$dir" >"$CLUSTER_DIR/log/controllers-apply"
kubectl wait --for=condition=Established --timeout=60s crd/certificates.cert-manager.io crd/clusterissuers.cert-manager.io >/dev/null
kubectl apply --server-side -f "$here/issuer.yaml" >>"$CLUSTER_DIR/log/controllers-apply"
kubectl -n cert-manager rollout status deployment/cert-manager --timeout=120s >/dev/null
kubectl -n flux-system rollout status deployment/source-controller deployment/kustomize-controller --timeout=120s >/dev/null
kubectl wait --for=condition=Ready --timeout=120s clusterissuer/mesh-ca >/dev/null
