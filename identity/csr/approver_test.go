package csr

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey/wrongkey"
)

func testMesh() *ir.Mesh {
	m := &ir.Mesh{Settings: ir.Settings{Name: "shop", TrustDomain: "shop.example"}}
	m.Certificates = ir.Certificates{Key: ir.KeyECDSAP256, Lifetime: ir.Duration(time.Hour)}
	service := func(name string, pods *ir.Pods) *ir.Service {
		s := &ir.Service{Account: name}
		s.Name, s.Namespace, s.Identity, s.Workload.Pods = name, "shop",
			spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/"+name), pods
		return s
	}
	for _, name := range []string{"cart", "store"} {
		m.Services = append(m.Services, service(name, &ir.Pods{Kind: ir.Deployment, Name: name}))
	}
	m.Services = append(m.Services, service("host", nil))
	m.Gateways = append(m.Gateways, &ir.Gateway{
		Name: "public", Namespace: "edge", Account: "door",
		Identity: spiffeid.RequireFromString("spiffe://shop.example/ns/edge/sa/door"),
	})
	return m
}

func request(t *testing.T, key any, change func(*x509.CertificateRequest)) []byte {
	t.Helper()
	template := &x509.CertificateRequest{URIs: []*url.URL{{
		Scheme: "spiffe", Host: "shop.example",
		Path: "/ns/shop/sa/cart",
	}}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// What is done with a request.
const approved, denied, leftAlone = "Approved", "Denied", ""

// judgement is a request, and what the approver does with it.
type judgement struct {
	// user is the account that asks ("NAMESPACE:NAME"), and username that of somebody who is not an account.
	user, username string
	// change is what the certificate request has, in place of cart's identity alone, and request all of it.
	change  func(*x509.CertificateRequest)
	request []byte
	spec    func(*certificatesv1.CertificateSigningRequestSpec)
	object  func(*certificatesv1.CertificateSigningRequest)
	want    string
	why     string
}

// namesAskedFor are requests for a member's own identity, and for others.
func namesAskedFor(t *testing.T) map[string]judgement {
	return map[string]judgement{
		"its own": {user: "shop:cart", want: approved},
		"a gateway's": {user: "edge:door", change: func(r *x509.CertificateRequest) {
			r.URIs = []*url.URL{uri("spiffe://shop.example/ns/edge/sa/door")}
		}, want: approved},
		"the server's": {user: "shop-system:meshc", change: func(r *x509.CertificateRequest) {
			r.URIs = []*url.URL{uri("spiffe://shop.example/ns/shop-system/sa/meshc")}
		}, want: approved},
		"another's": {user: "shop:store", want: denied, why: "only its own identity"},
		"two": {user: "shop:cart", change: func(r *x509.CertificateRequest) {
			r.URIs = append(r.URIs, uri("spiffe://shop.example/ns/shop/sa/store"))
		}, want: denied, why: "only its own identity"},
		"none": {
			user: "shop:cart", change: func(r *x509.CertificateRequest) { r.URIs = nil }, want: denied,
			why: "only its own identity",
		},
		"a host name": {user: "shop:cart", change: func(r *x509.CertificateRequest) {
			r.DNSNames = []string{"bank.example"}
		}, want: denied, why: "only its own identity"},
		"a common name": {user: "shop:cart", change: func(r *x509.CertificateRequest) {
			r.Subject.CommonName = "system:admin"
		}, want: denied, why: "a name besides its identity"},
		"a subject of sorts": {
			user:   "shop:cart",
			change: func(r *x509.CertificateRequest) { r.RawSubject = unknownName(t) }, want: denied,
			why: "a name besides its identity",
		},
		"another kind of name": {
			user: "shop:cart",
			change: func(r *x509.CertificateRequest) {
				r.URIs, r.ExtraExtensions = nil, []pkix.Extension{withOtherName(t)}
			}, want: denied, why: "only its own identity",
		},
	}
}

// termsAskedFor are requests for what a certificate may be used for, how long, and what else it or the object says.
func termsAskedFor() map[string]judgement {
	long := int32(2 * 3600)
	return map[string]judgement{
		"an extension": {user: "shop:cart", change: func(r *x509.CertificateRequest) {
			r.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 19}, Value: []byte{0x30, 3, 1, 1, 0xff}}}
		}, want: denied, why: "may not have extensions"},
		"too long": {user: "shop:cart", spec: func(s *certificatesv1.CertificateSigningRequestSpec) {
			s.ExpirationSeconds = &long
		}, want: denied, why: "valid for at most 1h"},
		"for ever": {user: "shop:cart", spec: func(s *certificatesv1.CertificateSigningRequestSpec) {
			s.ExpirationSeconds = nil
		}, want: denied, why: "valid for at most 1h"},
		"to sign others": {user: "shop:cart", spec: func(s *certificatesv1.CertificateSigningRequestSpec) {
			s.Usages = append(s.Usages, certificatesv1.UsageCertSign)
		}, want: denied, why: `"cert sign"`},
		"annotations": {user: "shop:cart", object: func(r *certificatesv1.CertificateSigningRequest) {
			r.Annotations = map[string]string{"experimental.cert-manager.io/request-is-ca": "true"}
		}, want: denied, why: "may not have annotations"},
		"too few usages": {user: "shop:cart", spec: func(s *certificatesv1.CertificateSigningRequestSpec) {
			s.Usages = usages()[2:]
		}, want: denied, why: `"digital signature"`},
	}
}

// keysAskedFor are requests with keys and signatures of all sorts.
func keysAskedFor(t *testing.T, key *ecdsa.PrivateKey) map[string]judgement {
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]judgement{
		"another kind of key": {
			user: "shop:cart", request: request(t, large, nil), want: denied,
			why: "of the kind ecdsa-p256",
		},
		"a huge key": {
			user: "shop:cart", request: wrong(t, 100_000), want: denied,
			why: "RSA key of 100000 bits is too long",
		},
		"a key of 8192 bits": {
			user: "shop:cart", request: wrong(t, 8192), want: denied,
			why: "RSA key of 8192 bits is too long",
		},
		"a longer request": {
			user: "shop:cart", request: wrong(t, 400_000), want: denied,
			why: "is too long: 32768 at most",
		},
		"of another kind": {
			user: "shop:cart", request: wrong(t, 4096), want: denied,
			why: "of the kind ecdsa-p256",
		}, // and not: not signed
		"garbage": {
			user: "shop:cart", request: []byte("garbage"), want: denied,
			why: "not a certificate request",
		},
		"a signature torn": {
			user: "shop:cart", request: torn(t, request(t, key, nil)), want: denied,
			why: "not signed with its own key",
		},
	}
}

// strangers ask who get no certificates in this way.
func strangers() map[string]judgement {
	return map[string]judgement{
		"a host of the mesh":  {user: "shop:host", want: leftAlone},
		"another account":     {user: "shop:stranger", want: leftAlone},
		"another namespace":   {user: "other:cart", want: leftAlone},
		"a person":            {username: "cart", want: leftAlone},
		"an account of sorts": {user: "shop", want: leftAlone},
	}
}

// TestJudge approves a member's own identity, denies a member everything else, and leaves what others ask for alone.
func TestJudge(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, cases := range []map[string]judgement{
		namesAskedFor(t), termsAskedFor(), keysAskedFor(t, key), strangers(),
	} {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				got := judge(testMesh(), c.asked(t, key))
				switch {
				case got == nil && c.want != leftAlone, got != nil && string(got.Type) != c.want:
					t.Errorf("it is %+v, want %q", got, c.want)
				case got != nil && !strings.Contains(got.Message, c.why):
					t.Errorf("it says %q, want %q", got.Message, c.why)
				}
			})
		}
	}
}

// asked is the object in the cluster, for a request that is signed with a key.
func (c judgement) asked(t *testing.T, key *ecdsa.PrivateKey) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	seconds := int32(3600)
	r := &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{
		Request: c.request, Username: cmp.Or(c.username, accountPrefix+c.user), ExpirationSeconds: &seconds,
		Usages: usages(),
	}}
	if c.request == nil {
		r.Spec.Request = request(t, key, c.change)
	}
	if c.spec != nil {
		c.spec(&r.Spec)
	}
	if c.object != nil {
		c.object(r)
	}
	return r
}

// uri is an identity as a certificate request has it.
func uri(identity string) *url.URL { return spiffeid.RequireFromString(identity).URL() }

// wrong is a request for an RSA key, without a signature that could be verified.
func wrong(t *testing.T, bits int) []byte {
	t.Helper()
	request, err := wrongkey.Request(bits)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// torn is a request whose signature is another's.
func torn(t *testing.T, request []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(request)
	block.Bytes = bytes.Clone(block.Bytes)
	block.Bytes[len(block.Bytes)-1] ^= 1
	return pem.EncodeToMemory(block)
}

// unknownName is a subject that has a name which is none of those that are read.
func unknownName(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.RDNSequence{{{
		Type:  asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1},
		Value: "system:admin",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// withOtherName is cart's identity, and a name of another kind beside it.
func withOtherName(t *testing.T) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte("spiffe://shop.example/ns/shop/sa/cart")},
		{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{0x2a, 3}}, // a registered id
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: subjectAlternativeName, Value: value}
}
