package ir

import (
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// JWTIssuer is an issuer of JSON Web Tokens.
type JWTIssuer struct {
	Name string `json:"name"`
	// Issuer is the claim "iss"; Audiences are those of which "aud" must have one.
	Issuer    string   `json:"issuer"`
	Audiences []string `json:"audiences,omitempty"`
	// Inline are the keys, in JSON; else To has them at Path. With neither there are
	// none, and no token is good.
	Inline string `json:"inline,omitempty"`
	// To is the service, or with External the external, that has the keys; Port is
	// by name, and Host what the request names.
	To       string   `json:"to,omitempty" member:""`
	External bool     `json:"external,omitempty"`
	Port     string   `json:"port,omitempty"`
	Host     string   `json:"host,omitempty"`
	Path     string   `json:"path,omitempty"`
	Refresh  Duration `json:"refresh,omitempty"`
	// DropToken has the token taken out of requests.
	DropToken bool `json:"dropToken,omitempty"`
	// Forward are claims that become headers, sorted by claim.
	Forward []ForwardedClaim `json:"forward,omitempty"`
	Pos     source.Position  `json:"pos,omitzero"`
}

// ForwardedClaim is a claim of a token and the header that carries it.
type ForwardedClaim struct {
	Claim  string `json:"claim"`
	Header string `json:"header"`
}

// JWTRule is a token that a request must carry.
type JWTRule struct {
	// Issuer by its name in the mesh.
	Issuer string `json:"issuer"`
	// Claims are sorted by name.
	Claims []Claim `json:"claims,omitempty"`
}

// Claim of a token must have one of the values.
type Claim struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// SpacedClaims are claims that are a list of words in one text (RFC 8693, section 4.2).
var SpacedClaims = []string{"scope", "scp"}

// JWTIssuer returns the issuer of that name, or nil.
func (s *Settings) JWTIssuer(name string) *JWTIssuer {
	return find(s.JWTIssuers, name, func(i *JWTIssuer) string { return i.Name })
}

// TokenIssuers are the issuers whose tokens the rules ask for on a port, each once, sorted.
func (g *Guards) TokenIssuers(port *Port) []string {
	known := map[string]bool{}
	for _, r := range g.all() {
		if r.JWT != nil && r.Holds(port) {
			known[r.JWT.Issuer] = true
		}
	}
	return sortedKeys(known)
}

// AllTokenIssuers are those of all ports, each once, sorted.
func (s *Service) AllTokenIssuers() []string { return s.tokenIssuersOn(s.Ports) }

// AllTokenIssuers are those of all listeners, each once, sorted.
func (g *Gateway) AllTokenIssuers() []string { return g.tokenIssuersOn(g.Doors()) }

func (g *Guards) tokenIssuersOn(ports []Port) []string {
	known := map[string]bool{}
	for i := range ports {
		for _, name := range g.TokenIssuers(&ports[i]) {
			known[name] = true
		}
	}
	return sortedKeys(known)
}

// GoesWithout reports whether some rule lets requests in on the port without a token.
func (g *Guards) GoesWithout(port *Port) bool {
	return slices.ContainsFunc(g.Allow, func(r Rule) bool { return !r.Audit && r.JWT == nil && r.Holds(port) })
}

// ForeignHeaders are those that nobody outside the mesh may write, and that gateways and permissive ports take out of
// requests: what carries claims, and what the authorization service of that name says. Sorted.
func (s *Settings) ForeignHeaders(authorizer string) []string {
	return s.withForwarded(s.ClaimHeaders(), authorizer)
}

// ForwardedHeaders are those in which the application on a port of a service learns what a token says, and what the
// service says that is asked about requests: the proxy takes out what a caller wrote there. Sorted.
func (s *Settings) ForwardedHeaders(v *Service, port *Port) []string {
	return s.withForwarded(s.HeadersOfIssuers(v.TokenIssuers(port)), v.Authorizer)
}

// HeadersOfIssuers are the headers that carry claims of tokens of these issuers.
func (s *Settings) HeadersOfIssuers(names []string) []string {
	var headers []string
	for _, name := range names {
		if i := s.JWTIssuer(name); i != nil {
			for _, f := range i.Forward {
				headers = append(headers, f.Header)
			}
		}
	}
	return headers
}

func (s *Settings) withForwarded(headers []string, authorizer string) []string {
	if a := s.ExternalAuthorization(authorizer); a != nil {
		headers = slices.Concat(headers, a.Forward)
	}
	slices.Sort(headers)
	return slices.Compact(headers)
}

// ClaimHeaders are the headers that carry claims of some issuer, each once, sorted.
func (s *Settings) ClaimHeaders() []string {
	known := map[string]bool{}
	for _, i := range s.JWTIssuers {
		for _, f := range i.Forward {
			known[f.Header] = true
		}
	}
	return sortedKeys(known)
}
