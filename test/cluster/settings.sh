# What the other scripts agree on; to be sourced. Each may be set before.

# programs and images are kept here between runs
CLUSTER_CACHE=${CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/meshc/cluster}
# all that a running cluster has
CLUSTER_DIR=${CLUSTER_DIR:-${TMPDIR:-/tmp}/meshc-cluster}
# the node's name, and that of its cgroup
CLUSTER_NODE=${CLUSTER_NODE:-meshc-node}
# /30 between this machine (.1) and the node (.2), pods, and Services
CLUSTER_LINK=${CLUSTER_LINK:-10.95.254}
CLUSTER_PODS=${CLUSTER_PODS:-10.245.0.0/24}
CLUSTER_SERVICES=${CLUSTER_SERVICES:-10.97.0.0/16}

machine=$CLUSTER_LINK.1
node=$CLUSTER_LINK.2
link=ve-${CLUSTER_NODE:0:12}
api_service=${CLUSTER_SERVICES%.*}.1
dns_service=${CLUSTER_SERVICES%.*}.10
bin=$CLUSTER_CACHE/bin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "cluster: $*" >&2; exit 1; }

# inside runs a command in the node.
inside() { nsenter -t "$(cat "$CLUSTER_DIR/init.pid")" -m -n -p -u -i -- "$@"; }

# alive reports whether the node of CLUSTER_DIR runs. A process id alone may by now
# be somebody else's.
alive() {
	local pid
	pid=$(cat "$CLUSTER_DIR/unshare.pid" 2>/dev/null) || return 1
	tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$CLUSTER_DIR/init.sh"
}

kubectl() { KUBECONFIG=${KUBECONFIG:-$CLUSTER_DIR/kubeconfig} "$bin/kubectl" "$@"; }
