package consul

import (
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type jwtProvider struct {
	Meta          map[string]any `json:"meta"`
	Issuer        string         `json:"issuer"`
	Audiences     []string       `json:"audiences"`
	JSONWebKeySet *struct {
		Local *struct {
			JWKS     string `json:"jwks"`
			Filename string `json:"filename"`
		} `json:"local"`
		Remote *struct {
			URI                 string         `json:"uri"`
			CacheDuration       string         `json:"cacheDuration"`
			RequestTimeoutMs    int            `json:"requestTimeoutMs"`
			FetchAsynchronously bool           `json:"fetchAsynchronously"`
			UseSNI              bool           `json:"useSNI"`
			RetryPolicy         map[string]any `json:"retryPolicy"`
			JWKSCluster         map[string]any `json:"jwksCluster"`
		} `json:"remote"`
	} `json:"jsonWebKeySet"`
	Locations        []map[string]any `json:"locations"`
	Forwarding       map[string]any   `json:"forwarding"`
	ClockSkewSeconds int              `json:"clockSkewSeconds"`
	CacheConfig      map[string]any   `json:"cacheConfig"`
}

// jwtRequirement is a token of one of several providers.
type jwtRequirement struct {
	Providers []struct {
		Name         string `json:"name"`
		VerifyClaims []struct {
			Path  []string `json:"path"`
			Value string   `json:"value"`
		} `json:"verifyClaims"`
	} `json:"providers"`
}

// jwtProviders makes token issuers of the providers.
func (m *reader) jwtProviders() {
	providers := read[jwtProvider](m, "JWTProvider")
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		e := providers[name]
		d, o := e.spec, e.object
		out := &spec.JWTIssuer{
			Issuer: spec.Written(d.Issuer), Audiences: written(d.Audiences), JWKS: &spec.JWKS{},
		}
		set := d.JSONWebKeySet
		switch {
		case d.Issuer == "" || set == nil || importer.NameOf(name) != name:
			m.NotCarried(o, "an issuer has a name and its keys", "spec")
			continue
		case set.Local != nil && set.Local.JWKS != "":
			keys, err := base64.StdEncoding.DecodeString(set.Local.JWKS)
			if err != nil {
				m.NotCarried(o, "its keys are not in base64", "spec", "jsonWebKeySet", "local", "jwks")
				continue
			}
			out.JWKS.Inline = spec.Written(string(keys))
		case set.Remote != nil && strings.HasPrefix(set.Remote.URI, "https://"):
			out.JWKS.URL = spec.Written(set.Remote.URI)
			if length, ok := length(set.Remote.CacheDuration); ok {
				out.JWKS.Refresh = spec.Written(length)
			}
			m.keySetHost(set.Remote.URI)
		default:
			m.NotCarried(o, "an issuer has its keys written here, or at an https URL", "spec", "jsonWebKeySet")
			continue
		}
		if len(d.Locations) > 0 || len(d.Forwarding) > 0 || d.ClockSkewSeconds > 0 {
			m.NotCarried(o, "a token is in the header authorization, which the application gets too", "spec")
		}
		if m.Repository.Mesh.JWT == nil {
			m.Repository.Mesh.JWT = &spec.JWT{Issuers: map[string]*spec.JWTIssuer{}}
		}
		m.Repository.Mesh.JWT.Issuers[name] = out
		m.issuers[name] = name
	}
}

// keySetHost adds the host of a set of keys to the externals, if it is not there.
func (m *reader) keySetHost(location string) {
	u, err := url.Parse(location)
	if err != nil || m.told["host "+u.Host] {
		return
	}
	m.told["host "+u.Host] = true
	number, err := strconv.Atoi(u.Port())
	if err != nil {
		number = 443
	}
	name := m.AddExternal(u.Hostname(), "default", &spec.External{
		Hosts: spec.WrittenAll(u.Hostname()),
		Ports: map[string]*spec.Port{"https": {Port: spec.Written(number), Protocol: spec.Written("https")}},
	})
	delete(m.Hosts, name) // proxies fetch the keys, and no service calls it
}

// tokens are what rules ask of tokens, one for each provider. Providers that were not read, and claims in claims, let
// nobody in.
func (m *reader) tokens(o *importer.Object, need *jwtRequirement, at []string) []*spec.JWTRule {
	var out []*spec.JWTRule
	for _, p := range need.Providers {
		rule := &spec.JWTRule{Issuer: spec.Written(p.Name)}
		good := m.issuers[p.Name] != ""
		for _, c := range p.VerifyClaims {
			if good = good && len(c.Path) == 1 && rule.Claims[c.Path[0]] == nil; !good {
				break
			}
			if rule.Claims == nil {
				rule.Claims = map[string][]spec.Field[string]{}
			}
			rule.Claims[c.Path[0]] = spec.WrittenAll(c.Value)
		}
		if !good {
			m.NotCarried(o, "provider "+p.Name+" was not read, or its claims are within others, so nobody is let in for it", at...)
			continue
		}
		out = append(out, rule)
	}
	return out
}
