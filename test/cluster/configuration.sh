# The files that the parts of the node are told of; sourced by up.sh.
# containerd: a score of the kernel's memory killer may not be lowered here.
cat >"$CLUSTER_DIR/containerd.toml" <<Y
version = 2
root = "$CLUSTER_DIR/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "node.local/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CLUSTER_DIR/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
Y
# The bridge plugin knows nothing of NetworkPolicies. In hairpin mode a pod reaches
# itself through its Service.
cat >"$CLUSTER_DIR/cni/10-bridge.conflist" <<Y
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
 {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "mtu": 1400,
  "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": "$CLUSTER_PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y
# kubelet: images are imported by hand and must not be collected; cgroups may be those
# of version 1.
cat >"$CLUSTER_DIR/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$CLUSTER_NODE
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $CLUSTER_DIR/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $CLUSTER_DIR/pki/kubelet-serving.crt
tlsPrivateKeyFile: $CLUSTER_DIR/pki/kubelet-serving.key
clusterDNS: [$dns_service]
clusterDomain: cluster.local
resolvConf: ""
failSwapOn: false
oomScoreAdj: 0
maxPods: 110
serializeImagePulls: false
volumePluginDir: $CLUSTER_DIR/kubelet/plugins
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 200Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}
Y
# kube-proxy: the kernel's connection tracking is the machine's.
cat >"$CLUSTER_DIR/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $CLUSTER_DIR/kube-proxy.kubeconfig}
clusterCIDR: $CLUSTER_PODS
hostnameOverride: $CLUSTER_NODE
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nodePortAddresses: [$node/32]
Y
