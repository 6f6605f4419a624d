#!/usr/bin/env bash
# Builds what a cluster is made of into CLUSTER_CACHE, and installs the packages of
# Debian that it needs; does nothing when all is there. Cold it takes about 10 minutes.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

packages=()
for need in containerd:containerd runc:runc etcd:etcd-server nft:nftables ip:iproute2 openssl:openssl curl:curl git:git; do
	command -v "${need%%:*}" >/dev/null || packages+=("${need##*:}")
done
[[ -x /usr/lib/cni/bridge ]] || packages+=(containernetworking-plugins)
if [[ ${#packages[@]} -gt 0 ]]; then
	command -v apt-get >/dev/null || fail "these packages are missing: ${packages[*]}"
	# Packages start their services where this file does not say no.
	policy=/usr/sbin/policy-rc.d
	[[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; trap 'rm -f $policy' EXIT; }
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

mkdir -p "$bin"
# go_build OUT MODULE PACKAGE FLAG...: with CGO or without for all, so that what they
# share is compiled once.
go_build() {
	local out=$1 module=$2 package=$3
	shift 3
	CGO_ENABLED=0 go build -C "$here/$module" -trimpath -o "$out" "$@" "$package"
}
# current NAME FILE...: were the programs of that name built from these files?
current() {
	local name=$1
	shift
	stamp=$(cat "$@" | sha256sum)
	[[ $(cat "$bin/.$name" 2>/dev/null) == "$stamp" ]]
}

if ! current kubernetes "$here"/go.mod "$here"/go.sum "$here"/{kube,coredns,pause}/*.go; then
	# Built as a module Kubernetes does not know its version, which clients ask for.
	version=$(go list -C "$here" -m -f '{{.Version}}' k8s.io/kubernetes)
	flags=
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$(cut -d. -f1 <<<"${version#v}") -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
	done
	go_build "$bin/kube" . ./kube -ldflags="-s -w$flags"
	for part in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
		ln -sf kube "$bin/$part"
	done
	go_build "$bin/coredns" . ./coredns -ldflags="-s -w"
	go_build "$bin/pause" . ./pause -ldflags="-s -w"
	echo "$stamp" >"$bin/.kubernetes"
fi
if ! current controllers "$here"/controllers/go.mod "$here"/controllers/go.sum "$here"/controllers/*/*.go; then
	for controller in source-controller kustomize-controller; do
		go_build "$bin/$controller" controllers "github.com/fluxcd/$controller" -ldflags="-s -w"
	done
	go_build "$bin/cert-manager" controllers ./cert-manager -ldflags="-s -w"
	echo "$stamp" >"$bin/.controllers"
fi
if ! current images "$bin/.kubernetes" "$bin/.controllers" "$here"/../../tools/images/*.go; then
	go run -C "$here/../.." ./tools/images -o "$CLUSTER_CACHE/images.tar" \
		node.local/pause:1="$bin/pause",user=65532 \
		node.local/coredns:1="$bin/coredns" \
		node.local/source-controller:1="$bin/source-controller",user=65534 \
		node.local/kustomize-controller:1="$bin/kustomize-controller",user=65534 \
		node.local/cert-manager:1="$bin/cert-manager",user=65534
	echo "$stamp" >"$bin/.images"
fi
