package envoy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// Names of resources are made of the mesh's own names, joined by "|", which
// neither they nor Envoy's statistics use for anything else. None is an index:
// reordering the spec renames nothing.
const (
	inboundListener  = "inbound"  // redirected connections to the service
	outboundListener = "outbound" // redirected connections from it
	egressListener   = "egress"   // members' calls that leave the mesh by a gateway
	blackhole        = "blackhole"
	serverCluster    = "meshc"
	secretIdentity   = "identity"
	secretTrust      = "trust"
	secretTrustOfAll = "trust of all domains"
)

// statName is a resource's name in statistics, "cart_shop|http": Envoy takes what
// stands before the first dot for the whole name, and the rest for the metric's.
func statName(name string) string { return strings.ReplaceAll(name, ".", "_") }

func join(parts ...string) string { return strings.Join(parts, "|") }

// upstreamCluster is SERVICE.NAMESPACE|PORT, with |VERSION for a version.
func upstreamCluster(u *ir.Upstream, port, version string) string {
	name := join(u.QualifiedName(), port)
	if version != "" {
		name = join(name, version)
	}
	return name
}

func externalCluster(e *ir.External, port string) string { return join("external", e.Name, port) }

func inboundName(port string) string { return join(inboundListener, port) }

// outboundNumber is the virtual listener of all callees on that port number.
func outboundNumber(port uint16) string {
	return join(outboundListener, strconv.Itoa(int(port)))
}

// outboundBind is the listener of one use's bind.
func outboundBind(callee, port string) string { return join(outboundListener, callee, port) }

func gatewayName(listener string) string { return join("gateway", listener) }

// gatewayPort is Envoy's listener for all of the spec's on that port.
func gatewayPort(port uint16) string { return join("gateway", strconv.Itoa(int(port))) }

// namedCertificate is the certificate, and namedRoots are the roots, in a secret that the spec names.
func namedCertificate(secret string) string { return join("secret", secret) }

func namedRoots(secret string) string { return join("roots", secret) }

// headerSecret is the value of a header of reports.
func headerSecret(header string) string { return join("header", header) }

// clientSecret is the value of a key or a password of clients.
func clientSecret(v *ir.SecretValue) string { return join("client", v.Secret, v.Key) }

// NodeID is the xDS node id of a proxy: KIND/NAME/INSTANCE. The instance is the
// name of an endpoint where the mesh knows it, in Kubernetes the pod's.
func NodeID(kind ir.MemberKind, name, instance string) string {
	return ir.Ref{Kind: kind, Name: name}.ID() + "/" + instance
}

// ParseNodeID takes a node id apart.
func ParseNodeID(id string) (kind ir.MemberKind, name, instance string, err error) {
	parts := strings.SplitN(id, "/", 3)
	if len(parts) != 3 || parts[1] == "" {
		return "", "", "", fmt.Errorf("node id %q is not KIND/NAME/INSTANCE", id)
	}
	kind = ir.MemberKind(parts[0])
	if kind != ir.KindService && kind != ir.KindGateway {
		return "", "", "", fmt.Errorf("node id %q: kind is %q and must be service or gateway", id, parts[0])
	}
	return kind, parts[1], parts[2], nil
}
