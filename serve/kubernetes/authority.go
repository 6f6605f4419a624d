package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/ca"
)

// Authority says where in a cluster the embedded authority is stored.
type Authority struct {
	// Namespace and Secret name the Secret in which all servers keep the authority. It must exist; it is empty at
	// first.
	Namespace, Secret string
	// Trust is the name of a ConfigMap in each namespace of the mesh and in Namespace, in which the roots are stored
	// under the key ca.crt; empty for no ConfigMap. The ConfigMaps must exist.
	Trust string
}

// Open returns the authority of a cluster, and creates it if there is none. It waits while the API server is
// unavailable.
func (a Authority) Open(ctx context.Context, config Config) (*ca.Authority, error) {
	client, err := config.API.Client(agent)
	if err != nil {
		return nil, err
	}
	said := ""
	for {
		made, err := a.open(ctx, client)
		if err == nil {
			return made, nil
		}
		if said != err.Error() {
			said = err.Error()
			config.Log.Warn("there is no authority yet", "secret", a.Namespace+"/"+a.Secret, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(retry):
		}
	}
}

// open makes no new root where an old one is trusted: the Secret may have been lost.
func (a Authority) open(ctx context.Context, client apiserver.Client) (*ca.Authority, error) {
	store := &secretStore{client: client, namespace: a.Namespace, name: a.Secret}
	files, _, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && a.Trust != "" {
		trust, err := client.CoreV1().ConfigMaps(a.Namespace).Get(ctx, a.Trust, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if trust.Data[corev1.ServiceAccountRootCAKey] != "" {
			return nil, fmt.Errorf(
				"%s is empty, and the ConfigMap %s/%s has the root of an authority that was there: put the Secret back; or, to begin with a new root that no proxy trusts yet, take %s out of the ConfigMap",
				store, a.Namespace, a.Trust, corev1.ServiceAccountRootCAKey)
		}
	}
	return ca.Shared(store)
}

// Existing returns the authority that the servers of a cluster use, for an administrator. It does not create one.
func (a Authority) Existing(ctx context.Context, client apiserver.Client) (*ca.Authority, error) {
	store := &secretStore{client: client, namespace: a.Namespace, name: a.Secret}
	files, _, err := store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", store, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no authority: meshc serve --ca-secret creates one", store)
	}
	return ca.Shared(store)
}

// secretStore keeps an authority in a Secret. The API server refuses a change of what others have
// changed meanwhile (metadata.resourceVersion).
type secretStore struct {
	client          apiserver.Client
	namespace, name string
}

func (s *secretStore) String() string { return fmt.Sprintf("the Secret %s/%s", s.namespace, s.name) }

// Load reads the Secret. Its keys have "_" where names of files have "/".
func (s *secretStore) Load(ctx context.Context) (map[string][]byte, string, error) {
	secret, err := s.client.CoreV1().Secrets(s.namespace).Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return nil, "", err
	}
	files := make(map[string][]byte, len(secret.Data))
	for key, data := range secret.Data {
		files[strings.ReplaceAll(key, "_", "/")] = data
	}
	return files, secret.ResourceVersion, nil
}

func (s *secretStore) Save(ctx context.Context, files map[string][]byte, version string) error {
	secrets := s.client.CoreV1().Secrets(s.namespace)
	secret, err := secrets.Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if secret.ResourceVersion != version {
		return ca.ErrChanged
	}
	secret.Data = make(map[string][]byte, len(files))
	for name, data := range files {
		secret.Data[strings.ReplaceAll(name, "/", "_")] = data
	}
	_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: agent})
	if apierrors.IsConflict(err) {
		return ca.ErrChanged
	}
	return err
}

// FollowAuthority applies what other servers change in the authority, until the context ends.
func (c *Cluster) FollowAuthority(ctx context.Context, a Authority) error {
	for ctx.Err() == nil {
		if err := c.followAuthority(ctx, a); err != nil {
			return err
		}
		c.untilBack(ctx)
	}
	return nil
}

// followAuthority follows until the watch fails.
func (c *Cluster) followAuthority(ctx context.Context, a Authority) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := newWatch[*corev1.Secret](c, a.Namespace, c.client.CoreV1().Secrets(a.Namespace), metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, a.Secret).String(),
	}, c.hears(kindAuthority, a.Namespace))
	go w.run(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.failed:
			return nil
		case <-w.changed:
			c.server.ReloadAuthority()
		}
	}
}

// PublishTrust writes the authority's roots to the ConfigMaps from which pods get the trust bundle before they have a
// certificate, and keeps them up to date until the context ends.
func (c *Cluster) PublishTrust(ctx context.Context, a Authority, authority *ca.Authority) {
	type published struct {
		roots []byte
		at    time.Time
	}
	done, failed := map[string]published{}, map[string]string{}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		roots := authority.Bundle()
		for _, namespace := range c.meshNamespaces(a.Namespace) {
			if p := done[namespace]; bytes.Equal(p.roots, roots) && time.Since(p.at) < repeat {
				continue
			}
			if err := c.publish(ctx, namespace, a.Trust, roots); err != nil {
				level := slog.LevelWarn
				if failed[namespace] == err.Error() || ctx.Err() != nil {
					level = slog.LevelDebug
				}
				failed[namespace] = err.Error()
				c.log.Log(ctx, level, "the trust bundle cannot be published to pods", "namespace", namespace, "error",
					err)
				continue
			}
			delete(failed, namespace)
			done[namespace] = published{roots, time.Now()}
		}
	}
}

func (c *Cluster) publish(ctx context.Context, namespace, name string, roots []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	configs := c.client.CoreV1().ConfigMaps(namespace)
	config, err := configs.Get(ctx, name, metav1.GetOptions{})
	if err != nil || config.Data[corev1.ServiceAccountRootCAKey] == string(roots) {
		return err
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{corev1.ServiceAccountRootCAKey: string(roots)}})
	if err != nil {
		return err
	}
	_, err = configs.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: agent})
	return err
}

// meshNamespaces are the server's own namespace, and those that have members.
func (c *Cluster) meshNamespaces(own string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{own}, c.namespaces...)
}

// noteNamespaces takes the namespaces of a mesh that is about to be served.
func (c *Cluster) noteNamespaces(m *ir.Mesh) {
	names := map[string]bool{}
	for _, s := range m.Services {
		if s.Workload.InCluster() {
			names[s.Namespace] = true
		}
	}
	for _, g := range m.Gateways {
		names[g.Namespace] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.namespaces = slices.Sorted(maps.Keys(names))
}
