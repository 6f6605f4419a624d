package ca

import (
	"crypto/rand"
	"encoding/hex"
	"math/big"
)

// A leaf of a chain has a serial number of serialLength bytes, the most that there are (RFC 5280, section 4.1.2.2): the
// first is serialOfChain, then comes the chain, and the rest is random. So one serial number is enough to take back
// the leaf and all that follow it, and nobody needs to have kept which were signed.
const (
	serialLength  = 20
	serialOfChain = 0x4d
)

// serialNumber returns a random serial number of at most 16 bytes, for a certificate without a chain.
func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// serialNumberOf returns a serial number for a leaf of the chain.
func serialNumberOf(chain string) (*big.Int, error) {
	name, err := hex.DecodeString(chain)
	if err != nil || len(name) != chainLength {
		return serialNumber()
	}
	serial := make([]byte, serialLength)
	serial[0] = serialOfChain
	_, err = rand.Read(serial[1+copy(serial[1:], name):])
	return new(big.Int).SetBytes(serial), err
}

// ChainOf returns the chain of the leaf with this serial number. It returns false for the serial number of a
// certificate without a chain, or of one that was signed before serial numbers contained it (2026-12).
func ChainOf(serial *big.Int) (chain string, ok bool) {
	b := serial.Bytes()
	if serial.Sign() <= 0 || len(b) != serialLength || b[0] != serialOfChain {
		return "", false
	}
	return hex.EncodeToString(b[1 : 1+chainLength]), true
}
