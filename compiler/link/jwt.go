package link

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/compiler/spec"
)

const (
	defaultKeySetPath    = "/.well-known/jwks.json"
	defaultKeySetRefresh = ir.Duration(5 * time.Minute)
)

// jwtIssuers links mesh.jwt, once services and externals are known by name.
func (l *linker) jwtIssuers(u *spec.Unit) {
	if u.Mesh.JWT == nil {
		return
	}
	for _, name := range sortedKeys(u.Mesh.JWT.Issuers) {
		s := u.Mesh.JWT.Issuers[name]
		here := place{u, "mesh.jwt.issuers." + name}
		if i := slices.IndexFunc(l.mesh.JWTIssuers, func(other *ir.JWTIssuer) bool {
			return other.Issuer == s.Issuer.Value
		}); i >= 0 {
			other := l.mesh.JWTIssuers[i]
			l.add(diag.NameTaken, here.field("issuer"),
				fmt.Sprintf("the issuers %s and %s are both %q, so the issuer of a token would be ambiguous",
					other.Name, name, s.Issuer.Value),
				here.pos(s.Issuer.Pos), other.Pos).
				hint("write one issuer with all their audiences, and distinguish tokens by claims")
		}
		out := &ir.JWTIssuer{Name: name, Issuer: s.Issuer.Value, Audiences: values(s.Audiences), Pos: here.pos(s.Pos)}
		if s.Audiences != nil && len(s.Audiences) == 0 {
			l.add(diag.EmptyList, here.field("audiences"), "audiences is empty, so no token would be accepted",
				here.pos(s.Pos)).hint("omit audiences to accept any audience")
		}
		if s.JWKS != nil {
			l.keySet(here.field("jwks"), s.JWKS, out)
		}
		if f := s.Forward; f != nil {
			out.DropToken = f.Token.IsSet() && !f.Token.Value
			l.forwardedClaims(here.field("forward.claims"), f, out)
		}
		l.mesh.JWTIssuers = append(l.mesh.JWTIssuers, out)
	}
}

func (l *linker) keySet(here place, s *spec.JWKS, out *ir.JWTIssuer) {
	var written choice
	written.add("inline", s.Inline.IsSet())
	written.add("url", s.URL.IsSet())
	written.add("service", s.Service.IsSet())
	if len(written) != 1 {
		l.add(diag.ExactlyOneOf, here, fmt.Sprintf("jwks has %d of inline, url and service, and must have exactly one",
			len(written)), here.pos(s.Pos)).
			hint("%s", written.instead(
				`jwks: inline: "{\"keys\": []}" with the issuer's public keys in the list; or their url, whose host is an external of the mesh`))
		return
	}
	for _, f := range []struct {
		name  string
		field spec.Field[string]
		where bool
	}{
		{"port", s.Port, s.Service.IsSet()},
		{"path", s.Path, s.Service.IsSet()},
		{"refresh", s.Refresh, !s.Inline.IsSet()},
	} {
		if f.field.IsSet() && !f.where {
			l.add(diag.NoEffect, here.field(f.name), f.name+" cannot take effect here", here.pos(f.field.Pos),
				here.pos(s.Pos)).hint("remove it")
		}
	}
	out.Refresh = defaultKeySetRefresh
	if s.Refresh.IsSet() {
		if out.Refresh = l.duration(here.field("refresh"), s.Refresh); out.Refresh > 0 && out.Refresh < second {
			l.add(diag.OutOfRange, here.field("refresh"), fmt.Sprintf("refresh is %s, and the shortest is 1s",
				out.Refresh), here.pos(s.Refresh.Pos))
		}
	}
	switch {
	case s.Inline.IsSet():
		out.Inline, out.Refresh = l.inlineKeys(here.field("inline"), s.Inline), 0
	case s.URL.IsSet():
		l.keySetURL(here.field("url"), s.URL, out)
	default:
		out.To, out.Path = s.Service.Value, s.Path.Or(defaultKeySetPath)
		if h, known := l.services[out.To]; known {
			out.Port = l.onlyPort(here, h, s.Port, s.Pos, func(p ir.Protocol) bool { return p.IsHTTP() }, "speak HTTP")
			out.Host = out.To
		} else {
			l.unknown(diag.UnknownCallee, here.field("service"), "service", out.To, sortedKeys(l.services),
				s.Service.Pos)
			out.To = ""
		}
	}
}

// inlineKeys checks a key set, and keeps what is public of it.
func (l *linker) inlineKeys(here place, f spec.Field[string]) string {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(f.Value), &set); err != nil {
		l.add(diag.BadFormat, here, "inline is not a JSON Web Key Set", here.pos(f.Pos)).
			hint(`{"keys": [{"kty": "EC", "crv": "P-256", "kid": "…", "x": "…", "y": "…"}]}`)
		return ""
	}
	for i := range set.Keys {
		switch k := &set.Keys[i]; {
		case !k.IsPublic():
			l.add(diag.SecretInSpec, here,
				fmt.Sprintf("key %d is private or symmetric: anyone who can read the spec could make tokens", i),
				here.pos(f.Pos)).
				hint("write only public keys")
			return ""
		case !k.Valid():
			l.add(diag.BadFormat, here, fmt.Sprintf("key %d is incomplete", i), here.pos(f.Pos))
			return ""
		}
		if err := publickey.Check(set.Keys[i].Key); err != nil {
			l.add(diag.BadFormat, here, fmt.Sprintf("key %d of the set is not supported: %v", i, err), here.pos(f.Pos)).
				hint("have the issuer make a key of one of these kinds")
			return ""
		}
	}
	if len(set.Keys) == 0 {
		return "" // no token is good
	}
	data, err := json.Marshal(set)
	if err != nil {
		l.add(diag.BadFormat, here, "inline has a key of an unsupported type", here.pos(f.Pos))
	}
	return string(data)
}

// keySetURL finds the external by which the proxies reach a URL: nothing leaves the
// mesh that is not written.
func (l *linker) keySetURL(here place, f spec.Field[string], out *ir.JWTIssuer) {
	at, err := url.Parse(f.Value)
	if err != nil || at.Hostname() == "" {
		l.add(diag.BadFormat, here, fmt.Sprintf("%q is not a valid URL", f.Value), here.pos(f.Pos)).
			hint(`"https://HOST/PATH"`)
		return
	}
	port := 443
	if text := at.Port(); text != "" {
		port, _ = strconv.Atoi(text)
	}
	for _, name := range sortedKeys(l.externals) {
		e := l.externals[name].spec
		if !slices.ContainsFunc(e.Hosts, func(h spec.Field[string]) bool { return h.Value == at.Hostname() }) {
			continue
		}
		if standsForMany(e.Hosts) {
			l.add(diag.ExternalWildcard, here, name+" stands for many names, and keys are fetched from one",
				here.pos(f.Pos), l.externals[name].pos).
				hint("move %s to an external of its own", at.Hostname())
			return
		}
		for _, portName := range sortedKeys(e.Ports) {
			if p := e.Ports[portName]; p.Port.Value == port && ir.Protocol(p.Protocol.Value) == ir.HTTPS {
				out.To, out.External, out.Port, out.Host, out.Path = name, true, portName, at.Host, at.EscapedPath()
				if out.Path == "" {
					out.Path = "/"
				}
				return
			}
		}
	}
	l.add(diag.UnknownCallee, here, fmt.Sprintf("no external of the mesh is %s with an https port %d", at.Hostname(),
		port), here.pos(f.Pos)).
		hint("external: accounts: {hosts: [%q], ports: https: {port: %d, protocol: \"https\"}}", at.Hostname(), port)
}

// identityHeaders are headers that proxies write about who calls.
var identityHeaders = []string{"authorization", "x-forwarded-client-cert", ir.ClientHeader, "host", "cookie"}

func (l *linker) forwardedClaims(here place, f *spec.JWTForward, out *ir.JWTIssuer) {
	taken := map[string]string{}
	for _, claim := range sortedKeys(f.Claims) {
		header := f.Claims[claim]
		other, twice := taken[header.Value]
		switch {
		case claim == "":
			l.add(diag.BadFormat, here, "a claim has no name", here.pos(header.Pos))
			continue
		case slices.Contains(identityHeaders, header.Value) || header.Value[0] == ':':
			l.add(diag.BadFormat, here.field(claim),
				fmt.Sprintf("%s is a header of HTTP or reserved for the proxies, and cannot carry a claim",
					header.Value), here.pos(header.Pos)).
				hint("%q", "x-"+claim)
			continue
		case twice:
			l.add(diag.NoEffect, here.field(claim), fmt.Sprintf("the claims %s and %s are carried by the same header",
				other, claim), here.pos(header.Pos), here.pos(f.Claims[other].Pos))
		}
		taken[header.Value] = claim
		out.Forward = append(out.Forward, ir.ForwardedClaim{Claim: claim, Header: header.Value})
	}
}

// jwtRule is the token that a rule asks for; nil for none.
func (l *linker) jwtRule(here place, r *spec.JWTRule) *ir.JWTRule {
	if r == nil {
		return nil
	}
	if l.mesh.JWTIssuer(r.Issuer.Value) == nil {
		var known []string
		for _, i := range l.mesh.JWTIssuers {
			known = append(known, i.Name)
		}
		l.unknown(diag.UnknownIssuer, here.field("issuer"), "token issuer", r.Issuer.Value, known, r.Issuer.Pos)
	}
	out := &ir.JWTRule{Issuer: r.Issuer.Value}
	for _, name := range sortedKeys(r.Claims) {
		list := values(r.Claims[name])
		if name == "" {
			l.add(diag.BadFormat, here.field("claims"), "a claim has no name", here.pos(r.Pos))
			continue
		}
		if len(list) == 0 {
			l.add(diag.EmptyList, here.field("claims."+name),
				fmt.Sprintf("the claim %s allows no value, so no token would match", name), here.pos(r.Pos)).
				hint("%s: [\"VALUE\"]", name)
			continue
		}
		out.Claims = append(out.Claims, ir.Claim{Name: name, Values: list})
	}
	return out
}
