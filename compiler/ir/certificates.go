package ir

import (
	"time"

	"github.com/meshc/meshc/compiler/source"
)

// Certificates is how members get their SPIFFE X.509 SVIDs.
type Certificates struct {
	Issuer Issuer `json:"issuer"`
	// TrustBundle is where pods find the roots that they trust; nil for beside their
	// certificates.
	TrustBundle *TrustBundle `json:"trustBundle,omitempty" scope:"deployment"`
	// Lifetime of a leaf, and how long before its end it is renewed.
	Lifetime    Duration `json:"lifetime" scope:"deployment"`
	RenewBefore Duration `json:"renewBefore" scope:"deployment"`
	// RenewFor is how long leaves of the embedded authority may be renewed by one another alone, since their holder's
	// last proof. It is 0 for other issuers, and in a mesh compiled before there was a limit, where DefaultRenewFor
	// holds.
	RenewFor Duration        `json:"renewFor,omitempty" scope:"-"`
	Key      KeyKind         `json:"key" scope:"deployment"`
	Pos      source.Position `json:"pos,omitzero"`
}

// DefaultRenewFor is [Certificates.RenewFor] where nothing else is written.
const DefaultRenewFor = Duration(30 * 24 * time.Hour)

// Issuer signs leaves.
type Issuer struct {
	Kind IssuerKind `json:"kind"`
	// Name of the cert-manager issuer.
	Name string `json:"name,omitempty"`
	// Signer that a CertificateSigningRequest names.
	Signer string `json:"signer,omitempty"`
}

// TrustBundle is a key of a ConfigMap that is in every namespace of the mesh.
type TrustBundle struct {
	ConfigMap string `json:"configMap"`
	Key       string `json:"key"`
}

// IssuerKind is who signs leaves.
type IssuerKind string

// The kinds of issuer.
const (
	IssuerCluster   IssuerKind = "ClusterIssuer"             // cert-manager
	IssuerNamespace IssuerKind = "Issuer"                    // cert-manager
	IssuerEmbedded  IssuerKind = "embedded"                  // meshc serve
	IssuerCSR       IssuerKind = "CertificateSigningRequest" // Kubernetes
	IssuerFile      IssuerKind = "file"                      // somebody else puts the files there
)

// KeyKind is the kind of a private key.
type KeyKind string

// The kinds of key.
const (
	KeyECDSAP256 KeyKind = "ecdsa-p256"
	KeyECDSAP384 KeyKind = "ecdsa-p384"
	KeyRSA2048   KeyKind = "rsa-2048"
	KeyRSA4096   KeyKind = "rsa-4096"
	KeyEd25519   KeyKind = "ed25519"
)

var keyKinds = []KeyKind{KeyECDSAP256, KeyECDSAP384, KeyRSA2048, KeyRSA4096, KeyEd25519}
