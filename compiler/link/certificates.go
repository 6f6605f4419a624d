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
	here := place{u, "mesh.certificates"}
	c.Pos = here.pos(s.Pos)
	if s.Issuer != nil {
		c.Issuer = ir.Issuer{Kind: ir.IssuerKind(s.Issuer.Kind.Value), Name: s.Issuer.Name.Value}
		certManager := c.Issuer.Kind == ir.IssuerCluster || c.Issuer.Kind == ir.IssuerNamespace
		if certManager && c.Issuer.Name == "" {
			l.add(diag.MissingField, here.field("issuer.name"), fmt.Sprintf("an issuer of kind %s needs a name",
				c.Issuer.Kind), here.pos(s.Issuer.Pos)).
				hint("name of the cert-manager %s", c.Issuer.Kind)
		}
		if !certManager && s.Issuer.Name.IsSet() {
			l.add(diag.NoEffect, here.field("issuer.name"), fmt.Sprintf("an issuer of kind %q has no name",
				c.Issuer.Kind), here.pos(s.Issuer.Name.Pos))
		}
		l.signer(here, s, &c.Issuer)
	}
	if b := s.TrustBundle; b != nil {
		c.TrustBundle = &ir.TrustBundle{ConfigMap: b.ConfigMap.Value, Key: b.Key.Or("ca.crt")}
		if c.Issuer.Kind == ir.IssuerEmbedded {
			l.add(diag.NoEffect, here.field("trustBundle"),
				"trustBundle cannot take effect: the embedded authority publishes its own roots to the proxies",
				here.pos(b.Pos)).
				hint("remove it: meshc certs rotate-root replaces the root")
		}
	}
	if s.Lifetime.IsSet() {
		if c.Lifetime = l.duration(here.field("lifetime"), s.Lifetime); c.Lifetime > 0 && c.Lifetime < minLifetime {
			l.add(diag.OutOfRange, here.field("lifetime"),
				fmt.Sprintf("lifetime is %s, and a certificate with a lifetime below %s cannot be renewed in time",
					c.Lifetime, minLifetime), here.pos(s.Lifetime.Pos))
		}
	}
	c.RenewBefore = c.Lifetime / 3
	if s.RenewBefore.IsSet() {
		c.RenewBefore = l.duration(here.field("renewBefore"), s.RenewBefore)
		if c.RenewBefore >= c.Lifetime && c.Lifetime > 0 {
			l.add(diag.OutOfRange, here.field("renewBefore"), fmt.Sprintf("renewBefore is %s, and lifetime is only %s",
				c.RenewBefore, c.Lifetime), here.pos(s.RenewBefore.Pos), here.pos(s.Lifetime.Pos)).
				hint("a third of the lifetime is a good value")
		}
	}
	l.renewFor(here, s, &c)
	c.Key = ir.KeyKind(s.Key.Or(string(ir.KeyECDSAP256)))
	if c.Issuer.Kind == ir.IssuerCSR && c.Lifetime > 0 && c.Lifetime < minRequestLifetime {
		l.add(diag.OutOfRange, here.field("lifetime"),
			fmt.Sprintf("lifetime is %s, and the shortest that a CertificateSigningRequest may ask for is %s",
				c.Lifetime, minRequestLifetime), here.pos(s.Lifetime.Pos))
	}
	l.mesh.Certificates = c
}

func (l *linker) renewFor(here place, s *spec.Certificates, c *ir.Certificates) {
	if c.Issuer.Kind != ir.IssuerEmbedded {
		if s.RenewFor.IsSet() {
			l.add(diag.NoEffect, here.field("renewFor"),
				fmt.Sprintf("renewFor cannot take effect: an issuer of kind %q decides itself which requests it signs",
					c.Issuer.Kind), here.pos(s.RenewFor.Pos)).
				hint("remove it")
		}
		return
	}
	c.RenewFor = max(ir.DefaultRenewFor, c.Lifetime)
	if !s.RenewFor.IsSet() {
		return
	}
	if c.RenewFor = l.duration(here.field("renewFor"), s.RenewFor); c.RenewFor < c.Lifetime && c.RenewFor > 0 {
		l.add(diag.OutOfRange, here.field("renewFor"),
			fmt.Sprintf("renewFor is %s and lifetime %s: no certificate could be renewed", c.RenewFor, c.Lifetime),
			here.pos(s.RenewFor.Pos)).
			hint("renewFor is at least lifetime; 720h is the default")
	}
}

// minRequestLifetime is the least of spec.expirationSeconds (certificates.k8s.io/v1).
const minRequestLifetime = ir.Duration(10 * time.Minute)

// signer links whom a CertificateSigningRequest names. Its signer does not name the trust bundle.
func (l *linker) signer(here place, s *spec.Certificates, out *ir.Issuer) {
	out.Signer = s.Issuer.Signer.Value
	if out.Kind != ir.IssuerCSR {
		if s.Issuer.Signer.IsSet() {
			l.add(diag.NoEffect, here.field("issuer.signer"), fmt.Sprintf("an issuer of kind %q has no signer",
				out.Kind), here.pos(s.Issuer.Signer.Pos))
		}
		return
	}
	if out.Signer == "" {
		l.add(diag.MissingField, here.field("issuer.signer"), fmt.Sprintf("an issuer of kind %s needs a signer",
			out.Kind), here.pos(s.Issuer.Pos)).
			hint(`signer: "clusterissuers.cert-manager.io/NAME"`)
	}
	if strings.HasPrefix(out.Signer, "issuers.cert-manager.io/") {
		l.add(diag.BadFormat, here.field("issuer.signer"),
			"an Issuer belongs to one namespace and signs only for accounts that may refer to it, and the pods of a mesh may not", here.pos(s.Issuer.Signer.Pos)).
			hint(`a ClusterIssuer: signer: "clusterissuers.cert-manager.io/NAME"`)
	}
	if s.TrustBundle == nil {
		l.add(diag.MissingField, here.field("trustBundle"),
			fmt.Sprintf("an issuer of kind %s needs a trustBundle: a signer does not publish its roots", out.Kind),
			here.pos(s.Issuer.Pos)).
			hint(`trustBundle: configMap: "mesh-roots"`)
	}
	if l.mesh.Delivery == ir.DeliveryStatic {
		l.add(diag.NoEffect, here.field("issuer.kind"),
			"certificate requests cannot be approved: with delivery \"static\" meshc does not run in the cluster",
			here.pos(s.Issuer.Kind.Pos)).
			hint(`delivery: "xds", or an issuer of cert-manager`)
	}
}
