package istio

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// server is where a Gateway takes connections.
type server struct {
	object   *importer.Object
	index    int
	listener *spec.Listener
	name     string
	hosts    []string // its own; those of the listener are all that share it
	of       string   // NAMESPACE/NAME of its Gateway
	from     []string // namespaces, for each host, of the VirtualServices that may use it: "*", "." or a name
	tcp, tls bool
	split    bool // into listeners of their own, by the name in the handshake
}

func (m *reader) server(o *importer.Object, g *gateway, i int, d *networkingv1.Server) {
	at := []string{"spec", "servers", strconv.Itoa(i)}
	if d.Port == nil {
		m.NotCarried(o, "it has no port", at...)
		return
	}
	s := &server{
		object: o, index: i, of: o.Metadata.Namespace + "/" + o.Metadata.Name,
		listener: &spec.Listener{Port: spec.Written(int(importer.Take(&d.Port.Number)))},
	}
	protocol := strings.ToUpper(importer.Take(&d.Port.Protocol))
	portName := importer.Take(&d.Port.Name)
	s.name = importer.Free(g.spec.Listeners,
		importer.NameOf(cmp.Or(importer.Take(&d.Name), portName, strings.ToLower(protocol))))
	for _, host := range importer.Take(&d.Hosts) {
		namespace, name, qualified := strings.Cut(host, "/")
		if !qualified {
			namespace, name = "*", host
		}
		if !slices.Contains(s.listener.Hosts, spec.Written(name)) {
			s.listener.Hosts, s.from = append(s.listener.Hosts, spec.Written(name)), append(s.from, namespace)
		} else {
			s.from[slices.Index(s.listener.Hosts, spec.Written(name))] = "*" // several namespaces may
		}
	}
	if len(s.listener.Hosts) == 1 && s.listener.Hosts[0].Value == "*" {
		s.listener.Hosts = nil
	}
	switch protocol {
	case "HTTP", "HTTP2", "GRPC":
	case "HTTPS":
	case "TLS":
		s.tls, s.tcp = true, d.Tls.GetMode() != networkingv1.ServerTLSSettings_PASSTHROUGH
		s.listener.Protocol = spec.Written(map[bool]string{true: "tcp", false: "tls"}[s.tcp])
	case "TCP", "MONGO", "MYSQL", "REDIS":
		s.tcp, s.listener.Protocol = true, spec.Written("tcp")
	default:
		m.NotCarried(o, "meshc does not know the protocol "+strconv.Quote(protocol), at...)
		return
	}
	if protocol == "HTTPS" && d.Tls.GetMode() == networkingv1.ServerTLSSettings_PASSTHROUGH {
		s.tls, s.listener.Protocol = true, spec.Written("tls")
	}
	if why := serverTLS(d.Tls, s.listener, protocol); why != "" {
		m.NotCarried(o, why+", and the listener is left out", append(at, "tls")...)
		d.Tls = nil
		return
	}
	for _, h := range s.listener.Hosts {
		s.hosts = append(s.hosts, h.Value)
	}
	if !m.shares(g, s) {
		return
	}
	g.spec.Listeners[s.name] = s.listener
	g.servers = append(g.servers, s)
}

// shares gives a server for HTTP the listener of another one on its port, which then answers for the hosts of both. It
// returns false for a server that cannot share the port, which it tells.
func (m *reader) shares(g *gateway, s *server) bool {
	for _, other := range g.servers {
		if other.listener.Port != s.listener.Port || other.listener.TLS != nil && s.listener.TLS != nil ||
			other.tls && s.tls {
			continue
		}
		if other.tcp || s.tcp || other.tls || s.tls || other.listener.TLS != nil || s.listener.TLS != nil ||
			other.listener.RedirectTo != s.listener.RedirectTo {
			m.NotCarried(s.object, "listener "+other.name+" has its port, and the listener is left out", "spec", "servers",
				strconv.Itoa(s.index))
			return false
		}
		both := append(slices.Clone(other.listener.Hosts), s.listener.Hosts...)
		if other.listener.Hosts == nil || s.listener.Hosts == nil {
			both = nil
		}
		slices.SortFunc(both, func(a, b spec.Field[string]) int { return strings.Compare(a.Value, b.Value) })
		other.listener.Hosts = slices.Compact(both)
		s.listener, s.name = other.listener, other.name
		return true
	}
	return true
}

// serverTLS converts the TLS settings of a server. It returns the reason if that is not possible.
func serverTLS(t *networkingv1.ServerTLSSettings, l *spec.Listener, protocol string) string {
	if t == nil {
		if protocol == "HTTPS" || protocol == "TLS" {
			return "it has no tls"
		}
		return ""
	}
	if importer.Take(&t.HttpsRedirect) {
		l.RedirectTo = spec.Written("") // to be found
	}
	mode, secret := importer.Take(&t.Mode), importer.Take(&t.CredentialName)
	if mode == networkingv1.ServerTLSSettings_PASSTHROUGH || protocol != "HTTPS" && protocol != "TLS" {
		return ""
	}
	switch {
	case mode == networkingv1.ServerTLSSettings_AUTO_PASSTHROUGH || mode == networkingv1.ServerTLSSettings_ISTIO_MUTUAL:
		return "members of the mesh do not come by a gateway"
	case secret == "":
		return "its certificate is a file, and not a secret (credentialName)"
	case len(t.SubjectAltNames)+len(t.VerifyCertificateSpki)+len(t.VerifyCertificateHash) > 0:
		return "clients are checked by their certificate authority, and not by their names or keys"
	case importer.NameOf(secret) != secret:
		return strconv.Quote(secret) + " is not a valid name in the spec"
	}
	l.TLS = &spec.ListenerTLS{Secret: spec.Written(secret)}
	if t.MinProtocolVersion == networkingv1.ServerTLSSettings_TLSV1_3 {
		l.TLS.MinVersion = spec.Written("1.3")
	}
	if t.MinProtocolVersion >= networkingv1.ServerTLSSettings_TLSV1_2 {
		t.MinProtocolVersion = 0
	}
	if mode == networkingv1.ServerTLSSettings_MUTUAL || mode == networkingv1.ServerTLSSettings_OPTIONAL_MUTUAL {
		l.TLS.ClientCertificates = &spec.ClientCertificates{
			Secret: spec.Written(cmp.Or(importer.Take(&t.CaCertCredentialName), secret)),
		}
		if mode == networkingv1.ServerTLSSettings_OPTIONAL_MUTUAL {
			l.TLS.ClientCertificates.Optional = spec.Written(true)
		}
	}
	return ""
}

// takes are the hosts of both, for which the server lets a VirtualService of the namespace answer.
func (s *server) takes(host, namespace string) []string {
	own := s.object.Metadata.Namespace
	if len(s.hosts) == 0 {
		if allows(s.from, 0, namespace, own) {
			return []string{host}
		}
		return nil
	}
	var out []string
	for i, h := range s.hosts {
		if both, ok := importer.Intersect(h, host); ok && allows(s.from, i, namespace, own) {
			out = append(out, both)
		}
	}
	return out
}

func allows(from []string, i int, namespace, own string) bool {
	return i >= len(from) || from[i] == "*" || from[i] == namespace || from[i] == "." && namespace == own
}
