#!/usr/bin/env bash
# Ends the node, with all that runs in it, and removes what it left; the cache stays.
set -uo pipefail
. "$(dirname "$0")/settings.sh"

if alive; then
	init=$(cat "$CLUSTER_DIR/init.pid" 2>/dev/null || true)
	kill -9 "$(cat "$CLUSTER_DIR/unshare.pid")" # and with its first process the kernel ends them all
	for _ in $(seq 100); do [[ -n $init && -d /proc/$init ]] || break; sleep 0.1; done
fi
ip link del "$link" 2>/dev/null
for _ in $(seq 100); do
	left=$(find /sys/fs/cgroup/*/"$CLUSTER_NODE" -depth -type d 2>/dev/null)
	[[ -n $left ]] || break
	while read -r dir; do rmdir "$dir" 2>/dev/null; done <<<"$left"
	sleep 0.05
done
if [[ -f $CLUSTER_DIR/init.sh ]]; then
	rm -rf --one-file-system "$CLUSTER_DIR"
fi
exit 0
