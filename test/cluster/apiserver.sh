#!/usr/bin/env bash
# Starts the API server of the node, or stops it: apiserver.sh start|stop. It waits for
# nothing.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
if [[ ${1:-start} == stop ]]; then
	inside pkill -KILL -x kube-apiserver
	exit 0
fi
pki=$CLUSTER_DIR/pki
setsid nsenter -t "$(cat "$CLUSTER_DIR/init.pid")" -m -n -p -u -i -- "$bin/kube-apiserver" \
	--etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --secure-port=6443 --advertise-address="$node" \
	--service-cluster-ip-range="$CLUSTER_SERVICES" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
	--client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
	--kubelet-client-certificate="$pki/apiserver-kubelet.crt" --kubelet-client-key="$pki/apiserver-kubelet.key" \
	--kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
	--service-account-key-file="$pki/accounts.pub" --service-account-signing-key-file="$pki/accounts.key" \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	>>"$CLUSTER_DIR/log/kube-apiserver" 2>&1 </dev/null &
