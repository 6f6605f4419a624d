#!/bin/sh
# Builds etcd and the Kubernetes API server of tools/cluster/go.mod, which tests run,
# into .tools; does nothing when they are there. The first time it takes some minutes.
set -eu
cd "$(dirname "$0")/.."

if [ -x .tools/etcd ] && [ -x .tools/kube-apiserver ] && cmp -s tools/cluster/go.sum .tools/cluster.sum; then
	exit 0
fi
mkdir -p .tools
go build -C tools/cluster -trimpath -o ../../.tools/etcd ./etcd
go build -C tools/cluster -trimpath -o ../../.tools/kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
cp tools/cluster/go.sum .tools/cluster.sum
