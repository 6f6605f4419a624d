package envoy

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestNobodysKeys derives the point again of which nobody can have the key.
func TestNobodysKeys(t *testing.T) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(nobodysKeys), &set); err != nil || len(set.Keys) != 1 || !set.Keys[0].Valid() {
		t.Fatalf("%v, %d keys", err, len(set.Keys))
	}
	key := set.Keys[0].Key.(*ecdsa.PublicKey)
	point, err := key.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	wanted := new(big.Int).SetBytes(point[1:33])
	curve := key.Curve.Params()
	sum := sha256.Sum256([]byte("meshc: nobody has the key to this point"))
	x := new(big.Int).SetBytes(sum[:])
	for {
		square := new(big.Int).Exp(x, big.NewInt(3), curve.P) // y² = x³ - 3x + b
		square.Sub(square, new(big.Int).Mul(big.NewInt(3), x)).Add(square, curve.B).Mod(square, curve.P)
		if y := new(big.Int).ModSqrt(square, curve.P); y != nil {
			break
		}
		x.Add(x, big.NewInt(1))
	}
	if x.Cmp(wanted) != 0 {
		t.Errorf("x is %x, and the first point's %x", wanted, x)
	}
}
