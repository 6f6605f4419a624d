package istio

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	securityv1 "istio.io/api/security/v1beta1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var requestAuthenticationReasons = map[string]string{
	"targetRef":                        "tokens are checked where rules ask for them",
	"targetRefs":                       "tokens are checked where rules ask for them",
	"jwtRules[].fromHeaders":           "a token comes as authorization: Bearer",
	"jwtRules[].fromParams":            "a token comes as authorization: Bearer",
	"jwtRules[].fromCookies":           "a token comes as authorization: Bearer",
	"jwtRules[].outputPayloadToHeader": "single claims are put into headers: forward: claims",
	"jwtRules[].spaceDelimitedClaims":  "a claim is a value, or a list",
	"jwtRules[].timeout":               "key sets are fetched again until they are there",
}

// requestAuthentications are the issuers of tokens. They are the whole mesh's, and a service
// checks those that its rules ask for.
func (m *reader) requestAuthentications() {
	for _, o := range m.objectsOf(security, "RequestAuthentication") {
		var d securityv1.RequestAuthentication
		if !m.Decode(o, "spec", &d) {
			continue
		}
		services := byName(m.selected(o, importer.Take(&d.Selector).GetMatchLabels()))
		for i, r := range d.JwtRules {
			name := m.issuer(o, r, "spec", "jwtRules", strconv.Itoa(i))
			for _, s := range services {
				if name != "" && !slices.Contains(m.issuers[s.Name], name) {
					m.issuers[s.Name] = append(m.issuers[s.Name], name)
				}
			}
		}
		m.Left(o, "spec", &d, requestAuthenticationReasons)
	}
}

// issuer is the name of an issuer in the mesh; "" for one that cannot be carried over.
func (m *reader) issuer(o *importer.Object, r *securityv1.JWTRule, at ...string) string {
	out := &spec.JWTIssuer{Issuer: spec.Written(importer.Take(&r.Issuer)), JWKS: &spec.JWKS{}}
	if m.Repository.Mesh.JWT == nil {
		m.Repository.Mesh.JWT = &spec.JWT{Issuers: map[string]*spec.JWTIssuer{}}
	}
	issuers := m.Repository.Mesh.JWT.Issuers
	out.Audiences = spec.WrittenAll(importer.Take(&r.Audiences)...)
	switch keys, location := importer.Take(&r.Jwks), importer.Take(&r.JwksUri); {
	case keys != "":
		out.JWKS.Inline = spec.Written(keys)
	case strings.HasPrefix(location, "https://"):
		out.JWKS.URL = spec.Written(location)
		m.keySetHost(o, location)
	default:
		m.NotCarried(o, "an issuer has its keys written here, or at an https URL", at...)
		return ""
	}
	if !importer.Take(&r.ForwardOriginalToken) {
		out.Forward = &spec.JWTForward{Token: spec.Written(false)}
	}
	for _, c := range r.OutputClaimToHeaders {
		if out.Forward == nil {
			out.Forward = &spec.JWTForward{}
		}
		if out.Forward.Claims == nil {
			out.Forward.Claims = map[string]spec.Field[string]{}
		}
		out.Forward.Claims[importer.Take(&c.Claim)] = spec.Written(strings.ToLower(importer.Take(&c.Header)))
	}
	for _, h := range r.FromHeaders {
		if strings.EqualFold(h.Name, "authorization") && h.Prefix == "Bearer " {
			h.Name, h.Prefix = "", ""
		}
	}
	for name, known := range issuers {
		if known.Issuer.Value == out.Issuer.Value {
			if !slices.Equal(known.Audiences, out.Audiences) || known.JWKS.URL != out.JWKS.URL ||
				known.JWKS.Inline != out.JWKS.Inline {
				m.LetsMore(o, "an issuer is one for the mesh, and "+name+" has other keys or audiences", at...)
			}
			return name
		}
	}
	name := out.Issuer.Value
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		name = u.Host
	}
	name = importer.Free(issuers, importer.NameOf(name))
	issuers[name] = out
	return name
}

// keySetHost makes an external of the host that has a key set, unless it is one.
func (m *reader) keySetHost(o *importer.Object, location string) {
	u, err := url.Parse(location)
	if err != nil {
		return
	}
	port := 443
	if n, err := strconv.Atoi(u.Port()); err == nil {
		port = n
	}
	e := m.externalOf(u.Hostname())
	if e == nil {
		name := m.AddExternal(u.Hostname(), o.Metadata.Namespace, &spec.External{
			Hosts: spec.WrittenAll(u.Hostname()),
			Ports: map[string]*spec.Port{"https": {Port: spec.Written(port), Protocol: spec.Written("https")}},
		})
		delete(m.Hosts, name) // proxies fetch the keys, and no service calls it
		return
	}
	for _, p := range e.Ports {
		if p.Port.Value == port {
			p.Protocol = spec.Written("https")
		}
	}
}

// issuerOf is the name of an issuer; "" when it is not known.
func (m *reader) issuerOf(issuer string) string {
	for _, name := range m.issuerNames() {
		if m.Repository.Mesh.JWT.Issuers[name].Issuer.Value == issuer {
			return name
		}
	}
	return ""
}

func (m *reader) issuerNames() []string {
	if m.Repository.Mesh.JWT == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(m.Repository.Mesh.JWT.Issuers))
}

// unasked reports issuers whose tokens no rule requires, because their invalid tokens are not refused either.
func (m *reader) unasked() {
	for _, o := range m.objectsOf(security, "RequestAuthentication") {
		var d securityv1.RequestAuthentication
		if !(&importer.Mesh{}).Decode(o, "spec", &d) {
			continue
		}
		for i, r := range d.JwtRules {
			for _, s := range m.Sorted() {
				if name := m.issuerOf(r.Issuer); slices.Contains(m.issuers[s.Name], name) && !m.asked[s.Name+"/"+name] {
					m.NotCarried(o, "no rule of "+s.Name+" asks for a token of "+name+
						", and who asks for none refuses no bad ones either", "spec", "jwtRules", strconv.Itoa(i))
				}
			}
		}
	}
}
