package ca

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/publickey"
)

const (
	tokenAudience = "meshc-join"
	// MaxTokenLife bounds how long a join token may be used.
	MaxTokenLife = time.Hour
	maxTokenSize = 4 << 10
)

// JoinToken is the content of a join token (a JWT, RFC 7519). Its holder can get one certificate of the identity in
// its subject, once, until the token expires.
type JoinToken struct {
	jwt.Claims
	// Pins are the SHA-256 digests of the roots' public keys, by which the holder recognizes the server (RFC 7469,
	// section 2.4).
	Pins []string `json:"pins"`
}

// IssueToken creates a join token for the identity id. The holder requires that the server proves the identity in
// server. The token is valid for the duration life, from 1s to [MaxTokenLife].
func (a *Authority) IssueToken(server, id spiffeid.ID, life time.Duration, now time.Time) (string, error) {
	if life < time.Second || life > MaxTokenLife {
		return "", fmt.Errorf("a join token lives for 1s to %s, not %s", MaxTokenLife, life)
	}
	number := make([]byte, 16)
	if _, err := rand.Read(number); err != nil {
		return "", err
	}
	a.mu.RLock()
	key := a.joinKey
	a.mu.RUnlock()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key.Reveal()}, (&jose.SignerOptions{}).
		WithType("JWT"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(JoinToken{
		Claims: jwt.Claims{
			Issuer: server.String(), Subject: id.String(), Audience: jwt.Audience{tokenAudience},
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(life)),
			ID: hex.EncodeToString(number),
		},
		Pins: Pins(a.Bundle()),
	}).Serialize()
}

// Pins returns the pins of the certificates in a bundle (see [JoinToken]).
func Pins(bundle []byte) []string {
	var out []string
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return out
		}
		if c, err := publickey.ParseCertificate(block.Bytes); err == nil {
			sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
			out = append(out, base64.StdEncoding.EncodeToString(sum[:]))
		}
	}
}

// ReadToken decodes a join token without verifying it. It is for the holder, who got the token from somebody it
// trusts.
func ReadToken(text string) (*JoinToken, error) {
	t := &JoinToken{}
	parsed, err := parseToken(text)
	if err == nil {
		err = parsed.UnsafeClaimsWithoutVerification(t)
	}
	if err != nil {
		return nil, errors.New("it is not a valid join token")
	}
	return t, nil
}

func parseToken(text string) (*jwt.JSONWebToken, error) {
	if len(text) > maxTokenSize {
		return nil, errors.New("it is too long")
	}
	return jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.HS256})
}

// ErrToken is returned for a join token that is not valid. It gives no reason, so that an attacker learns nothing.
var ErrToken = errors.New("the join token is not valid, was already used, or has expired")

// ErrNotRecorded is returned if a valid token is refused because its use cannot be recorded.
var ErrNotRecorded = errors.New("the use of a join token cannot be recorded")

// Redeem verifies a join token for the server, marks it as used, also across restarts, and returns its identity. It
// returns [ErrToken] if the token is not valid, and [ErrNotRecorded] if its use cannot be recorded. It returns
// [ErrRevoked], and does not use the token up, if the identity is revoked, or if the token was issued before a holder
// of the identity was revoked.
func (a *Authority) Redeem(text string, server spiffeid.ID, now time.Time) (spiffeid.ID, error) {
	parsed, err := parseToken(text)
	if err != nil {
		return spiffeid.ID{}, ErrToken
	}
	a.mu.RLock()
	key := a.joinKey
	a.mu.RUnlock()
	var t JoinToken
	if err := parsed.Claims(key.Reveal(), &t); err != nil {
		return spiffeid.ID{}, ErrToken
	}
	expected := jwt.Expected{Issuer: server.String(), AnyAudience: jwt.Audience{tokenAudience}, Time: now}
	if t.Expiry == nil || t.ID == "" || t.ValidateWithLeeway(expected, 0) != nil {
		return spiffeid.ID{}, ErrToken
	}
	id, err := spiffeid.FromString(t.Subject)
	if err != nil {
		return spiffeid.ID{}, ErrToken
	}
	if err := a.admits(id, t.IssuedAt.Time()); err != nil {
		return spiffeid.ID{}, err
	}
	first, err := a.first(t.ID, t.Expiry.Time(), now)
	if err != nil {
		return spiffeid.ID{}, errors.Join(ErrNotRecorded, err)
	}
	if !first {
		return spiffeid.ID{}, ErrToken
	}
	return id, nil
}

// first reports whether a token is used for the first time, and records it.
func (a *Authority) first(id string, expiry, now time.Time) (bool, error) {
	sum := sha256.Sum256([]byte(id))
	name := hex.EncodeToString(sum[:16])
	if a.dir == "" {
		return a.firstShared(name, expiry, now)
	}
	dir := filepath.Join(a.dir, usedDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(expiry.UTC().Format(time.RFC3339) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, errors.Join(err, os.Remove(f.Name())) // it was not taken
	}
	forget(dir, now)
	return true, nil
}

// forget removes the records of tokens that have expired long ago.
func forget(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > 2*MaxTokenLife {
			_ = os.Remove(filepath.Join(dir, e.Name())) // another time
		}
	}
}
