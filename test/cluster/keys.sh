# The keys and certificates of the cluster, and the kubeconfigs; sourced by up.sh.
cd "$CLUSTER_DIR/pki"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
# leaf NAME SUBJECT EXTENSION
leaf() {
	key "$1"
	openssl req -new -key "$1.key" -subj "$2" | openssl x509 -req -CA ca.crt -CAkey ca.key \
		-set_serial "0x$(openssl rand -hex 8)" -out "$1.crt" -days 30 -extfile <(echo "$3") 2>/dev/null
}
kubeconfig() {
	cat >"$CLUSTER_DIR/$2" <<-Y
	apiVersion: v1
	kind: Config
	clusters: [{name: meshc, cluster: {server: "https://$node:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
	users: [{name: meshc, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
	contexts: [{name: meshc, context: {cluster: meshc, user: meshc}}]
	current-context: meshc
	Y
}
key ca
openssl req -x509 -new -key ca.key -out ca.crt -days 30 -subj /CN=meshc-cluster
key accounts
openssl ec -in accounts.key -pubout -out accounts.pub 2>/dev/null
leaf apiserver /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,IP:$node,IP:$api_service,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
leaf kubelet-serving "/CN=$CLUSTER_NODE" "subjectAltName=IP:$node,DNS:$CLUSTER_NODE"
leaf apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
leaf admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth
kubeconfig admin kubeconfig
leaf kubelet "/O=system:nodes/CN=system:node:$CLUSTER_NODE" extendedKeyUsage=clientAuth
kubeconfig kubelet kubelet.kubeconfig
for part in kube-controller-manager kube-scheduler kube-proxy; do
	leaf $part "/CN=system:$part" extendedKeyUsage=clientAuth
	kubeconfig $part $part.kubeconfig
done
cd - >/dev/null
