package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/meshc/meshc/compiler/ir"
)

// tokenLife is how long the tokens of tests are good.
const tokenLife = time.Hour

// issuers stand in for those of a mesh: with a key of their own, which is gone with the tests.
type issuers struct {
	mesh   *ir.Mesh // with that key
	signer jose.Signer
}

func newIssuers(m *ir.Mesh) (*issuers, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256,
		Key:       jose.JSONWebKey{Key: key, KeyID: "verify"},
	}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	public, err := json.Marshal(
		jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{
			Key: key.Public(), KeyID: "verify", Algorithm: string(jose.ES256),
			Use: "sig",
		}}})
	if err != nil {
		return nil, err
	}
	out := *m
	out.JWTIssuers = nil
	for _, i := range m.JWTIssuers {
		own := *i
		own.Inline = string(public)
		own.To, own.External, own.Port, own.Host, own.Path, own.Refresh = "", false, "", "", "", 0
		out.JWTIssuers = append(out.JWTIssuers, &own)
	}
	return &issuers{&out, signer}, nil
}

// sign makes a token of an issuer, by its name in the mesh.
func (i *issuers) sign(name string, claims map[string][]string) (string, error) {
	issuer := i.mesh.JWTIssuer(name)
	said := map[string]any{"exp": time.Now().Add(tokenLife).Unix(), "sub": "verify"}
	for name, values := range claims {
		if said[name] = values; len(values) == 1 {
			said[name] = values[0]
		}
	}
	said["iss"] = issuer.Issuer
	if _, given := said["aud"]; !given && len(issuer.Audiences) > 0 {
		said["aud"] = issuer.Audiences[0]
	}
	payload, err := json.Marshal(said)
	if err != nil {
		return "", err
	}
	signature, err := i.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signature.CompactSerialize()
}
