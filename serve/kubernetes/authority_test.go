package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
)

// versioned has the fake API server refuse changes of what has changed meanwhile, as a real one does.
func versioned(objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	var mu sync.Mutex
	version := 1
	client.PrependReactor("update", "secrets", func(action ktesting.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		secret := action.(ktesting.UpdateAction).GetObject().(*corev1.Secret).DeepCopy()
		if secret.ResourceVersion != strconv.Itoa(version) {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, secret.Name,
				errors.New("it has changed"))
		}
		version++
		secret.ResourceVersion = strconv.Itoa(version)
		return true, secret, client.Tracker().
			Update(corev1.SchemeGroupVersion.WithResource("secrets"), secret, secret.Namespace)
	})
	return client
}

var inCluster = Authority{Namespace: "shop-system", Secret: "meshc-authority", Trust: "shop.trust"}

func secretAndTrust(roots string) []runtime.Object {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: inCluster.Namespace, Name: inCluster.Secret,
		ResourceVersion: "1", Labels: map[string]string{"kept": "yes"},
	}}
	trust := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: inCluster.Namespace, Name: inCluster.Trust}}
	if roots != "" {
		trust.Data = map[string]string{"ca.crt": roots}
	}
	return []runtime.Object{secret, trust}
}

// Servers that start at once have one root, which is in the Secret without its key.
func TestServersHaveOneAuthority(t *testing.T) {
	client := versioned(secretAndTrust("")...)
	authorities, errs := make([]*ca.Authority, 4), make([]error, 4)
	var all sync.WaitGroup
	for i := range authorities {
		all.Go(func() { authorities[i], errs[i] = inCluster.open(t.Context(), client) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, a := range authorities {
		if !bytes.Equal(a.Bundle(), authorities[0].Bundle()) {
			t.Error("two servers have two roots")
		}
	}
	secret, err := client.CoreV1().Secrets(inCluster.Namespace).Get(t.Context(), inCluster.Secret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(secret.Data["1_intermediate.key"]) == 0 || secret.Data["1_root.key"] != nil ||
		secret.Labels["kept"] != "yes" {
		t.Errorf("the Secret has %v, %v", secret.Labels, fmt.Sprint(len(secret.Data)))
	}
}

// A Secret that was lost does not become a new root behind the back of those who trust the old one.
func TestLostAuthorityIsNotMadeAnew(t *testing.T) {
	client := versioned(secretAndTrust("-----BEGIN CERTIFICATE-----")...)
	if _, err := inCluster.open(t.Context(), client); err == nil ||
		!strings.Contains(err.Error(), "put the Secret back") {
		t.Errorf("got %v", err)
	}
}

// TestExistingAuthority has somebody who looks after a mesh work on the authority of its servers: they make none, and
// what they change the servers have.
func TestExistingAuthority(t *testing.T) {
	client := versioned(secretAndTrust("")...)
	if _, err := inCluster.Existing(t.Context(), client); err == nil ||
		!strings.Contains(err.Error(), "the Secret shop-system/meshc-authority has no authority") {
		t.Errorf("of none: %v", err)
	}
	if _, err := (Authority{Namespace: "shop-system", Secret: "other"}).Existing(t.Context(), client); err == nil ||
		!strings.Contains(err.Error(), "shop-system/other") {
		t.Errorf("without a Secret: %v", err)
	}
	server, err := inCluster.open(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	here, err := inCluster.Existing(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	id, serverID := spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/cart"),
		spiffeid.RequireFromString("spiffe://shop.example/ns/shop-system/sa/meshc")
	token, err := here.IssueToken(serverID, id, time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := server.Redeem(token, serverID, time.Now()); err != nil || got != id {
		t.Errorf("the server redeems the token for %v: %v", got, err)
	}
	stage, err := here.Advance(secret.Value{}, time.Now())
	if err != nil || stage.Stage != ca.TrustBoth {
		t.Fatalf("the next stage is %+v: %v", stage, err)
	}
	again, err := inCluster.open(t.Context(), client)
	if err != nil || again.Rotation().Bundle != stage.Bundle {
		t.Errorf("a server that starts has another bundle: %v", err)
	}
}
