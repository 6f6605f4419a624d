package link

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

func (l *linker) certificates(u *spec.Unit) {
	c := ir.Certificates{Issuer: ir.Issuer{Kind: ir.IssuerEmbedded}, Lifetime: defaultLifetime, Key: ir.KeyECDSAP256}
	s := u.Mesh.Certificates
	if s == nil {
		c.RenewBefore, c.RenewFor = c.Lifetime/3, ir.DefaultRenewFor
		l.mesh.Certificates = c
		return
	}
	c.Pos = u.At(s.Pos)
	const path = "mesh.certificates"
	if s.Issuer != nil {
		c.Issuer = ir.Issuer{Kind: ir.IssuerKind(s.Issuer.Kind.Value), Name: s.Issuer.Name.Value}
		certManager := c.Issuer.Kind == ir.IssuerCluster || c.Issuer.Kind == ir.IssuerNamespace
		if certManager && c.Issuer.Name == "" {
			l.add(diag.MissingField, path+".issuer.name", fmt.Sprintf("an issuer of kind %s needs a name", c.Issuer.Kind), u.At(s.Issuer.Pos)).
				hint("name of the cert-manager %s", c.Issuer.Kind)
		}
		if !certManager && s.Issuer.Name.IsSet() {
			l.add(diag.NoEffect, path+".issuer.name", fmt.Sprintf("an issuer of kind %q has no name", c.Issuer.Kind), u.At(s.Issuer.Name.Pos))
		}
		l.signer(u, path, s, &c.Issuer)
	}
	if b := s.TrustBundle; b != nil {
		c.TrustBundle = &ir.TrustBundle{ConfigMap: b.ConfigMap.Value, Key: b.Key.Or("ca.crt")}
		if c.Issuer.Kind == ir.IssuerEmbedded {
			l.add(diag.NoEffect, path+".trustBundle", "trustBundle cannot take effect: the embedded authority tells its proxies whom to trust", u.At(b.Pos)).
				hint("take it out: meshc certs rotate-root replaces the root")
		}
	}
	if s.Lifetime.IsSet() {
		if c.Lifetime = l.duration(u, path+".lifetime", s.Lifetime); c.Lifetime > 0 && c.Lifetime < minLifetime {
			l.add(diag.OutOfRange, path+".lifetime", fmt.Sprintf("lifetime is %s, and no certificate can be renewed in time that lives for less than %s", c.Lifetime, minLifetime), u.At(s.Lifetime.Pos))
		}
	}
	c.RenewBefore = c.Lifetime / 3
	if s.RenewBefore.IsSet() {
		c.RenewBefore = l.duration(u, path+".renewBefore", s.RenewBefore)
		if c.RenewBefore >= c.Lifetime && c.Lifetime > 0 {
			l.add(diag.OutOfRange, path+".renewBefore", fmt.Sprintf("renewBefore is %s and lifetime only %s", c.RenewBefore, c.Lifetime), u.At(s.RenewBefore.Pos), u.At(s.Lifetime.Pos)).
				hint("a third of the lifetime is a good value")
		}
	}
	l.renewFor(u, path, s, &c)
	c.Key = ir.KeyKind(s.Key.Or(string(ir.KeyECDSAP256)))
	if c.Issuer.Kind == ir.IssuerCSR && c.Lifetime > 0 && c.Lifetime < minRequestLifetime {
		l.add(diag.OutOfRange, path+".lifetime", fmt.Sprintf("lifetime is %s, and the shortest that a CertificateSigningRequest may ask for is %s", c.Lifetime, minRequestLifetime), u.At(s.Lifetime.Pos))
	}
	l.mesh.Certificates = c
}

func (l *linker) renewFor(u *spec.Unit, path string, s *spec.Certificates, c *ir.Certificates) {
	if c.Issuer.Kind != ir.IssuerEmbedded {
		if s.RenewFor.IsSet() {
			l.add(diag.NoEffect, path+".renewFor", fmt.Sprintf("renewFor cannot take effect: an issuer of kind %q decides itself whom it signs for", c.Issuer.Kind), u.At(s.RenewFor.Pos)).
				hint("take it out")
		}
		return
	}
	c.RenewFor = max(ir.DefaultRenewFor, c.Lifetime)
	if !s.RenewFor.IsSet() {
		return
	}
	if c.RenewFor = l.duration(u, path+".renewFor", s.RenewFor); c.RenewFor < c.Lifetime && c.RenewFor > 0 {
		l.add(diag.OutOfRange, path+".renewFor", fmt.Sprintf("renewFor is %s and lifetime %s: no certificate could be renewed", c.RenewFor, c.Lifetime), u.At(s.RenewFor.Pos)).
			hint("renewFor is at least lifetime; 720h is the default")
	}
}

// minRequestLifetime is the least of spec.expirationSeconds (certificates.k8s.io/v1).
const minRequestLifetime = ir.Duration(10 * time.Minute)

// signer links whom a CertificateSigningRequest names. Its signer says nothing of whom to trust.
func (l *linker) signer(u *spec.Unit, path string, s *spec.Certificates, out *ir.Issuer) {
	out.Signer = s.Issuer.Signer.Value
	if out.Kind != ir.IssuerCSR {
		if s.Issuer.Signer.IsSet() {
			l.add(diag.NoEffect, path+".issuer.signer", fmt.Sprintf("an issuer of kind %q has no signer", out.Kind), u.At(s.Issuer.Signer.Pos))
		}
		return
	}
	if out.Signer == "" {
		l.add(diag.MissingField, path+".issuer.signer", fmt.Sprintf("an issuer of kind %s needs a signer", out.Kind), u.At(s.Issuer.Pos)).
			hint(`signer: "clusterissuers.cert-manager.io/NAME"`)
	}
	if strings.HasPrefix(out.Signer, "issuers.cert-manager.io/") {
		l.add(diag.BadFormat, path+".issuer.signer", "an Issuer of one namespace signs for accounts that may refer to it alone, and the pods of a mesh may not", u.At(s.Issuer.Signer.Pos)).
			hint(`a ClusterIssuer: signer: "clusterissuers.cert-manager.io/NAME"`)
	}
	if s.TrustBundle == nil {
		l.add(diag.MissingField, path+".trustBundle", fmt.Sprintf("an issuer of kind %s needs a trustBundle: a signer does not say whom to trust", out.Kind), u.At(s.Issuer.Pos)).
			hint(`trustBundle: configMap: "mesh-roots"`)
	}
	if l.mesh.Delivery == ir.DeliveryStatic {
		l.add(diag.NoEffect, path+".issuer.kind", "what is asked for cannot be approved: with delivery \"static\" nothing of meshc runs in the cluster", u.At(s.Issuer.Kind.Pos)).
			hint(`delivery: "xds", or an issuer of cert-manager`)
	}
}
