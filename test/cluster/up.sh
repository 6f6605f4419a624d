#!/usr/bin/env bash
# Starts a Kubernetes of one node on this machine, in namespaces of its own: etcd,
# the API server, the controller manager, the scheduler, kubelet, kube-proxy,
# containerd and CoreDNS. A cluster that runs is left as it is. It is root's.
#
# Afterwards: export KUBECONFIG=$CLUSTER_DIR/kubeconfig
set -euo pipefail
. "$(dirname "$0")/settings.sh"

[[ $(id -u) == 0 ]] || fail "only root can make the node's namespaces; or set KUBECONFIG to a cluster that there is"
unset KUBECONFIG # which may name another cluster
"$here/build.sh"
if alive && kubectl get --raw=/readyz >/dev/null 2>&1; then
	exit 0
fi
"$here/down.sh"
mkdir -p "$CLUSTER_DIR"/{pki,log,etcd,kubelet,cni,hostlog,sys}
touch "$CLUSTER_DIR/init.sh" # which tells down.sh that the directory is ours

. "$here/keys.sh"
. "$here/configuration.sh"
. "$here/node.sh"

# start LOG COMMAND... runs a part of Kubernetes in the node.
start() {
	local log=$CLUSTER_DIR/log/$1
	shift
	setsid nsenter -t "$(cat "$CLUSTER_DIR/init.pid")" -m -n -p -u -i -- "$@" >>"$log" 2>&1 </dev/null &
}
# until_ready SECONDS WHAT COMMAND...
until_ready() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[[ $SECONDS -lt $end ]] || fail "$what is not ready; see $CLUSTER_DIR/log"
		alive || fail "the node ended; see $CLUSTER_DIR/log"
		sleep 0.1
	done
}

pki=$CLUSTER_DIR/pki
start etcd etcd --name "$CLUSTER_NODE" --data-dir "$CLUSTER_DIR/etcd" --unsafe-no-fsync \
	--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
	--initial-cluster "$CLUSTER_NODE=http://127.0.0.1:2380"
start containerd containerd -c "$CLUSTER_DIR/containerd.toml"
until_ready 60 etcd inside curl -sf http://127.0.0.1:2379/health
"$here/apiserver.sh"
until_ready 60 containerd inside ctr version
inside ctr -n k8s.io images import "$CLUSTER_CACHE/images.tar" >"$CLUSTER_DIR/log/import" & import=$!
until_ready 120 kube-apiserver kubectl get --raw=/readyz
# A node that has only lost its API server for a while must not be taken for dead: kube-proxy
# would have no endpoints for node ports.
start kube-controller-manager "$bin/kube-controller-manager" \
	--kubeconfig="$CLUSTER_DIR/kube-controller-manager.kubeconfig" --leader-elect=false --use-service-account-credentials=true \
	--bind-address=127.0.0.1 --service-account-private-key-file="$pki/accounts.key" --root-ca-file="$pki/ca.crt" \
	--cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" --node-monitor-period=1s --node-monitor-grace-period=5m \
	--allocate-node-cidrs=true --cluster-cidr="$CLUSTER_PODS" --node-cidr-mask-size=24 --service-cluster-ip-range="$CLUSTER_SERVICES"
start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$CLUSTER_DIR/kube-scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1
wait $import || fail "the images could not be imported; see $CLUSTER_DIR/log/import"
start kubelet "$bin/kubelet" --config="$CLUSTER_DIR/kubelet.yaml" --kubeconfig="$CLUSTER_DIR/kubelet.kubeconfig" \
	--root-dir="$CLUSTER_DIR/kubelet" --cert-dir="$CLUSTER_DIR/kubelet/pki" --hostname-override="$CLUSTER_NODE" --node-ip="$node" \
	--node-labels=topology.kubernetes.io/region=region-1,topology.kubernetes.io/zone=region-1a
start kube-proxy "$bin/kube-proxy" --config="$CLUSTER_DIR/kube-proxy.yaml"
sed "s/@DNS@/$dns_service/" "$here/coredns.yaml" | kubectl apply --server-side -f - >"$CLUSTER_DIR/log/coredns-apply"
until_ready 60 "the node" kubectl get node "$CLUSTER_NODE"
kubectl wait --for=condition=Ready "node/$CLUSTER_NODE" --timeout=90s >/dev/null
kubectl -n kube-system rollout status deployment/coredns --timeout=90s >/dev/null
