# The node: namespaces and cgroups of its own, and a link to this machine; sourced by
# up.sh.
for controller in /sys/fs/cgroup/*/; do
	[[ $controller == */unified/ ]] && continue
	[[ -f $controller/cgroup.procs ]] || continue
	mkdir -p "$controller$CLUSTER_NODE"
	for file in cpuset.cpus cpuset.mems; do
		[[ ! -f $controller$file ]] || cat "$controller$file" >"$controller$CLUSTER_NODE/$file"
	done
done
# The first process of the node: its mounts are its own, and it waits for the others.
# What kubelet would write into the machine's kernel it finds there already.
cat >"$CLUSTER_DIR/init.sh" <<'Y'
dir=$1
hostname "$2"
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock
mount --bind "$dir/hostlog" /var/log
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	file=$dir/sys/${setting%%=*}
	mkdir -p "${file%/*}"
	echo "${setting##*=}" >"$file"
	mount --bind "$file" "/proc/sys/${setting%%=*}"
done
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
touch "$dir/init.ready"
trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
Y
setsid unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc \
	bash "$CLUSTER_DIR/init.sh" "$CLUSTER_DIR" "$CLUSTER_NODE" >"$CLUSTER_DIR/log/init" 2>&1 </dev/null &
echo $! >"$CLUSTER_DIR/unshare.pid"
for _ in $(seq 100); do [[ ! -f $CLUSTER_DIR/init.ready ]] || break; sleep 0.05; done
[[ -f $CLUSTER_DIR/init.ready ]] || fail "the node did not start: $(cat "$CLUSTER_DIR/log/init")"
pgrep -P "$(cat "$CLUSTER_DIR/unshare.pid")" >"$CLUSTER_DIR/init.pid"
ip link add "$link" type veth peer name eth0 netns "$(cat "$CLUSTER_DIR/init.pid")"
ip addr add "$machine/30" dev "$link"
ip link set "$link" up
inside ip addr add "$node/30" dev eth0
inside ip link set eth0 up
inside ip route add default via "$machine"
ip route replace "$CLUSTER_PODS" via "$node"
ip route replace "$CLUSTER_SERVICES" via "$node"
