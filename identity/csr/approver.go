package csr

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/svid"
)

// Approver approves CertificateSigningRequests of Kubernetes for the members of a mesh.
type Approver struct {
	client apiserver.Client
	signer string
	// mesh is the compiled mesh as it is in the cluster.
	mesh func(ctx context.Context) (*ir.Mesh, error)
	log  *slog.Logger
}

// NewApprover returns an approver of requests for the given signer name. The function mesh returns the compiled mesh.
// It returns an error if the API server's configuration cannot be read.
func NewApprover(api apiserver.API, signer string, mesh func(ctx context.Context, client apiserver.Client) (*ir.Mesh,
	error), log *slog.Logger,
) (*Approver, error) {
	client, err := api.Client(agent)
	return &Approver{client: client, signer: signer, log: log, mesh: func(ctx context.Context) (*ir.Mesh, error) {
		return mesh(ctx, client)
	}}, err
}

// look is how often those that wait are looked at when nothing has changed: the mesh that names a new member
// may come after its pods.
const look = 2 * time.Second

// Run approves and denies requests until the context ends.
func (a *Approver) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := a.follow(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the API server does not answer", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(look):
		}
	}
}

// follow looks at all requests that wait, and again at each that comes, until the watch ends.
func (a *Approver) follow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // a watch that is silent may be dead
	defer cancel()
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.signerName", a.signer).String()}
	requests := a.client.CertificatesV1().CertificateSigningRequests()
	list, err := requests.List(ctx, options)
	if err != nil {
		return err
	}
	waiting := map[string]*undecided{}
	for i := range list.Items {
		a.note(waiting, &list.Items[i])
	}
	options.ResourceVersion = list.ResourceVersion
	watch, err := requests.Watch(ctx, options)
	if err != nil {
		return err
	}
	defer watch.Stop()
	for {
		a.decide(ctx, waiting)
		var again <-chan time.Time
		if len(waiting) > 0 {
			again = time.After(look)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again:
		case event, open := <-watch.ResultChan():
			if !open {
				return nil
			}
			if r, ok := event.Object.(*certificatesv1.CertificateSigningRequest); ok {
				a.note(waiting, r)
			}
		}
	}
}

// note stores a request that is not decided, and removes one that is.
func (a *Approver) note(waiting map[string]*undecided, r *certificatesv1.CertificateSigningRequest) {
	if len(r.Status.Conditions) > 0 || r.DeletionTimestamp != nil {
		delete(waiting, r.Name)
		return
	}
	if waiting[r.Name] == nil {
		waiting[r.Name] = &undecided{}
	}
	waiting[r.Name].CertificateSigningRequest = r
}

// undecided is a request that waits. If its account belongs to no member of the present mesh, it may belong to one of
// the next mesh, so it is examined again, at growing intervals.
type undecided struct {
	*certificatesv1.CertificateSigningRequest
	next time.Time
	wait time.Duration
}

// isDue reports whether the request must be examined now.
func (u *undecided) isDue(now time.Time) bool {
	if now.Before(u.next) {
		return false
	}
	u.wait = min(max(look, 2*u.wait), time.Minute)
	u.next = now.Add(u.wait)
	return true
}

// decide approves or denies waiting requests. It leaves requests that are not for this mesh to others.
func (a *Approver) decide(ctx context.Context, waiting map[string]*undecided) {
	due := map[string]*certificatesv1.CertificateSigningRequest{}
	for name, u := range waiting {
		if u.isDue(time.Now()) {
			due[name] = u.CertificateSigningRequest
		}
	}
	if len(due) == 0 {
		return
	}
	m, err := a.mesh(ctx)
	if err != nil {
		a.log.Warn("the compiled mesh cannot be read", "error", err)
		return
	}
	for name, r := range due {
		condition := judge(m, r)
		if condition == nil {
			continue
		}
		r = r.DeepCopy()
		r.Status.Conditions = append(r.Status.Conditions, *condition)
		_, err := a.client.CertificatesV1().CertificateSigningRequests().
			UpdateApproval(ctx, name, r, metav1.UpdateOptions{})
		switch {
		case apierrors.IsConflict(err) || apierrors.IsNotFound(err): // a replica was faster
		case err != nil:
			a.log.Warn("the request could not be decided; it is tried again", "request", name, "error", err)
			continue
		case condition.Type == certificatesv1.CertificateDenied:
			a.log.Warn("a request is denied", "request", name, "from", r.Spec.Username, "reason", condition.Message)
		default:
			a.log.Info("a request is approved", "request", name, "from", r.Spec.Username)
		}
		delete(waiting, name)
	}
}

// accountPrefix begins the name of a service account as a user (Kubernetes, "Service account tokens").
const accountPrefix = "system:serviceaccount:"

// judge returns the condition for a request: Approved for the own identity of a member, Denied if a member requests
// anything else; nil for requests of others.
func judge(m *ir.Mesh, r *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestCondition {
	namespace, account, ok := strings.Cut(strings.TrimPrefix(r.Spec.Username, accountPrefix), ":")
	if !strings.HasPrefix(r.Spec.Username, accountPrefix) || !ok {
		return nil
	}
	id, known := identityOf(m, namespace, account)
	if !known {
		return nil
	}
	out := &certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "MeshIdentity",
		Message: "it is the identity of the service account that asks: " + id,
	}
	if err := admissible(m, r, id); err != nil {
		out.Type, out.Message = certificatesv1.CertificateDenied, err.Error()
	}
	return out
}

// identityOf returns the SPIFFE ID of a service account that belongs to a member of the mesh, or to its server.
func identityOf(m *ir.Mesh, namespace, account string) (string, bool) {
	if namespace == m.SystemNamespace() && account == ir.ServerName {
		return m.ServerIdentity().String(), true
	}
	for _, s := range m.Services {
		if s.Namespace == namespace && s.Account == account && s.Workload.InCluster() {
			return s.Identity.String(), true
		}
	}
	for _, g := range m.Gateways {
		if g.Namespace == namespace && g.Account == account {
			return g.Identity.String(), true
		}
	}
	return "", false
}

// admissible returns an error that says what a request asks for in addition to the identity; nil if there is nothing.
func admissible(m *ir.Mesh, r *certificatesv1.CertificateSigningRequest, id string) error {
	asked, err := svid.ParseRequest(r.Spec.Request)
	if err != nil {
		return err
	}
	if svid.KindOf(asked.PublicKey) != m.Certificates.Key { // before its signature, whose cost is the key's to say
		return fmt.Errorf("keys of this mesh are of the kind %s", m.Certificates.Key)
	}
	if asked.CheckSignature() != nil {
		return errors.New("the request is not signed with its own key")
	}
	names, err := alternativeName(id)
	if err != nil {
		return err
	}
	switch {
	case len(r.Annotations) > 0: // by which signers are told more, as that it be an authority
		return errors.New("a member's request may not have annotations")
	case len(asked.URIs) != 1 || asked.URIs[0].String() != id:
		return fmt.Errorf("a member may request only its own identity, %s", id)
	case !bytes.Equal(asked.RawSubject, noName):
		return errors.New("a member's request may not have a name besides its identity")
	case len(asked.Extensions) != 1 || !asked.Extensions[0].Id.Equal(subjectAlternativeName):
		return errors.New("a member's request may not have extensions")
	case !bytes.Equal(asked.Extensions[0].Value, names): // there are names that are not even read
		return fmt.Errorf("a member may request only its own identity, %s", id)
	case r.Spec.ExpirationSeconds == nil ||
		time.Duration(*r.Spec.ExpirationSeconds)*time.Second > time.Duration(m.Certificates.Lifetime):
		return fmt.Errorf("a certificate of this mesh may be valid for at most %s", m.Certificates.Lifetime)
	}
	wanted := usages()
	for _, usage := range r.Spec.Usages {
		if !slices.Contains(wanted, usage) {
			return fmt.Errorf("a member's request may not have the usage %q", usage)
		}
	}
	for _, usage := range wanted { // without some, the certificate could be one for anything
		if !slices.Contains(r.Spec.Usages, usage) {
			return fmt.Errorf("a member's request must have the usage %q", usage)
		}
	}
	return nil
}

// subjectAlternativeName is the extension's id, and noName a subject without a name (RFC 5280, 4.2.1.6 and
// 4.1.2.4).
var (
	subjectAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}
	noName                 = []byte{0x30, 0}
)

// alternativeName is the value of the extension with that URI and nothing else.
func alternativeName(id string) ([]byte, error) {
	const uri = 6 // GeneralName
	return asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: uri, Bytes: []byte(id)}})
}
