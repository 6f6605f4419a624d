// Package apiserver connects to a Kubernetes API server. It finds the server from inside a pod, and has typed clients
// for only those API groups that meshc uses. (The clientset of client-go would add the clients of all groups to the
// binary.) The fake clientset of client-go implements [Client], so tests can use it.
package apiserver

import (
	"errors"
	"fmt"
	"net/http"

	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	certificatesv1 "k8s.io/client-go/kubernetes/typed/certificates/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryv1 "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// The files of a pod's service account, which the kubelet renews.
const (
	PodTokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token" // #nosec G101 -- a path
	PodCAFile    = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
)

// API says how a program in a pod connects to the API server.
type API struct {
	// Address is the URL of the API server, https://HOST:PORT.
	Address string
	// TokenFile contains the pod's own token, and CAFile the roots of the API server's certificate in PEM. Both are
	// read again when they are renewed.
	TokenFile, CAFile string
}

// Client has the typed clients of the API groups that meshc uses.
type Client interface {
	AuthenticationV1() authenticationv1.AuthenticationV1Interface
	CertificatesV1() certificatesv1.CertificatesV1Interface
	CoreV1() corev1.CoreV1Interface
	DiscoveryV1() discoveryv1.DiscoveryV1Interface
}

// The requests that one client makes: a second, for long, and at once.
const (
	perSecond = 20
	burst     = 50
)

// Client creates the typed clients, with the given user agent. It sends no request yet; it returns an error if a file
// of the service account cannot be read. The clients follow no redirects, because a redirect would send the pod's
// token to another server.
func (a API) Client(agent string) (Client, error) {
	config := &rest.Config{
		Host: a.Address, BearerTokenFile: a.TokenFile, TLSClientConfig: rest.TLSClientConfig{CAFile: a.CAFile},
		QPS: perSecond, Burst: burst, UserAgent: agent,
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("the Kubernetes API at %s: %w", a.Address, err)
	}
	return newClients(config, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// NewClient creates the typed clients for the configuration of a kubeconfig file.
func NewClient(config *rest.Config) (Client, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return newClients(config, client)
}

// clients share their connections and one rate limit.
type clients struct {
	authentication *authenticationv1.AuthenticationV1Client
	certificates   *certificatesv1.CertificatesV1Client
	core           *corev1.CoreV1Client
	discovery      *discoveryv1.DiscoveryV1Client
}

func newClients(config *rest.Config, client *http.Client) (*clients, error) {
	config = rest.CopyConfig(config)
	if config.RateLimiter == nil && config.QPS > 0 {
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, config.Burst)
	}
	var c clients
	var errs [4]error
	c.authentication, errs[0] = authenticationv1.NewForConfigAndClient(config, client)
	c.certificates, errs[1] = certificatesv1.NewForConfigAndClient(config, client)
	c.core, errs[2] = corev1.NewForConfigAndClient(config, client)
	c.discovery, errs[3] = discoveryv1.NewForConfigAndClient(config, client)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("the Kubernetes API at %s: %w", config.Host, err)
	}
	return &c, nil
}

func (c *clients) AuthenticationV1() authenticationv1.AuthenticationV1Interface {
	return c.authentication
}

func (c *clients) CertificatesV1() certificatesv1.CertificatesV1Interface { return c.certificates }
func (c *clients) CoreV1() corev1.CoreV1Interface                         { return c.core }
func (c *clients) DiscoveryV1() discoveryv1.DiscoveryV1Interface          { return c.discovery }
