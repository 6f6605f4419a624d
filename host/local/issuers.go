package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	// tokenLife is how long a token of [Running.Token] is good.
	tokenLife = time.Hour
	// tokenKey is the name of the key that signs them (RFC 7517, section 4.5).
	tokenKey = "meshc-local"
)

func newTokenKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// withIssuers is the mesh with issuers of tokens that stand in for its own: their keys are those that the mesh has
// inline, and this one.
func withIssuers(m *ir.Mesh, key *ecdsa.PrivateKey) (*ir.Mesh, error) {
	out := *m
	out.JWTIssuers = nil
	for _, i := range m.JWTIssuers {
		keys := jose.JSONWebKeySet{}
		if i.Inline != "" {
			if err := json.Unmarshal([]byte(i.Inline), &keys); err != nil {
				return nil, fmt.Errorf("the keys of the token issuer %s: %w", i.Name, err)
			}
		}
		keys.Keys = append(keys.Keys, jose.JSONWebKey{
			Key: key.Public(), KeyID: tokenKey, Algorithm: string(jose.ES256), Use: "sig",
		})
		public, err := json.Marshal(keys)
		if err != nil {
			return nil, err
		}
		own := *i
		own.Inline = string(public)
		own.To, own.External, own.Port, own.Host, own.Path, own.Refresh = "", false, "", "", "", 0
		out.JWTIssuers = append(out.JWTIssuers, &own)
	}
	return &out, nil
}

// Token is a signed one of an issuer, by its name in the mesh, with those claims. Where they name no audience it is the
// issuer's first. The mesh must run with [Options.SignTokens].
func (r *Running) Token(issuer string, claims map[string][]string) (string, error) {
	i := r.Mesh.JWTIssuer(issuer)
	if i == nil || r.tokenKey == nil {
		return "", fmt.Errorf("the mesh that runs has no token issuer %q whose tokens can be signed here", issuer)
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256,
		Key:       jose.JSONWebKey{Key: r.tokenKey, KeyID: tokenKey},
	}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	said := map[string]any{"exp": time.Now().Add(tokenLife).Unix(), "sub": "meshc"}
	for name, values := range claims {
		if said[name] = values; len(values) == 1 {
			said[name] = values[0]
		}
	}
	said["iss"] = i.Issuer
	if _, given := said["aud"]; !given && len(i.Audiences) > 0 {
		said["aud"] = i.Audiences[0]
	}
	payload, err := json.Marshal(said)
	if err != nil {
		return "", err
	}
	signature, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signature.CompactSerialize()
}
