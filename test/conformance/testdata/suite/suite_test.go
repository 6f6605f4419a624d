//go:build conformance

package suite

import (
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1alpha2 "sigs.k8s.io/gateway-api/apis/v1alpha2"
	gatewayv1alpha3 "sigs.k8s.io/gateway-api/apis/v1alpha3"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	meshtests "sigs.k8s.io/gateway-api/conformance/tests/mesh"
	"sigs.k8s.io/gateway-api/conformance/utils/echo"
	confsuite "sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/conformance/utils/tlog"
)

// ofTheController are tests of what a controller does to objects in a cluster. They make no requests.
var ofTheController = []string{
	"GatewayInfrastructureMetadata", "GatewayModifyListeners", "GatewayStaticAddresses", "GatewayObservedGenerationBump",
	"GatewayClassObservedGenerationBump", "HTTPRouteObservedGenerationBump", "BackendTLSPolicyObservedGenerationBump",
}

// connections are the beginnings of the names of tests that open connections of TCP, TLS or UDP, where there is no
// request to follow.
var connections = []string{
	"TCPRoute", "UDPRoute",
	"TLSRouteInvalidBackendRef", "TLSRouteMixed", "TLSRouteSimple", "TLSRouteTerminate",
}

// lab is the suite's cluster: a store of objects and the mesh that is made of them.
type lab struct {
	sync.Mutex
	client.Client
	mesh    bool // it tests the mesh, not gateways
	test    string
	records []record
	last    map[string]string // what the suite said last
	making  sync.Mutex        // of world
	changed bool              // objects changed since world was made
	before  string            // the objects of world, as YAML
	world   *world
	usual   []string // findings about what all tests have
	err     error
	asked   int
	steps   map[string][]string // of requests, by path
}

var scheme = runtime.NewScheme()

func TestSuite(t *testing.T) {
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, discoveryv1.AddToScheme, appsv1.AddToScheme, apiextensionsv1.AddToScheme,
		gatewayv1.Install, gatewayv1alpha2.Install,
		gatewayv1alpha3.Install, gatewayv1beta1.Install,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	var all []record
	for _, l := range []*lab{{}, {mesh: true}} {
		l.run(t)
		all = append(all, l.records...)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("MESHC_CONFORMANCE_RECORDS"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) run(t *testing.T) {
	l.last, l.steps = map[string]string{}, map[string][]string{}
	l.Client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(l.watched()).
		WithObjects(&gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "meshc"}}).Build()
	tlog.Record, tlog.RecordError, tlog.Mirrored = l.record, l.recordError, l.mirrored
	tlog.Copies = l.copies
	tlog.Said = func(t *testing.T, text string) {
		l.Lock()
		defer l.Unlock()
		if _, why, ok := strings.Cut(text, "not ready yet: "); ok {
			l.last[t.Name()], _, _ = strings.Cut(why, " (after")
		}
	}
	echo.Send = l.sendFromPod
	o := confsuite.ConformanceOptions{
		Client: l.Client, RestConfig: &rest.Config{}, RoundTripper: l, GRPCClient: l, WebSocketDialer: l,
		ConfigurableOptions: confsuite.ConfigurableOptions{
			GatewayClassName: "meshc", CleanupTestResources: true, EnableAllSupportedFeatures: true,
			AllowCRDsMismatch:    true,
			DisableParallelTests: true,
		},
		ManifestFS: []fs.FS{&conformance.Manifests},
	}
	s, err := confsuite.NewConformanceTestSuite(o)
	if err != nil {
		t.Fatal(err)
	}
	list := tests.ConformanceTests
	if l.mesh {
		list = meshtests.MeshConformanceTests
		s.SupportedFeatures.Delete("Gateway")
	} else {
		s.SupportedFeatures.Delete("Mesh")
	}
	s.Setup(t, list)
	s.SupportedFeatures.Insert("Gateway", "Mesh")
	if l.mesh {
		if err := l.Create(t.Context(), sender()); err != nil {
			t.Fatal(err)
		}
	}
	if w, err := l.now(); err == nil {
		l.usual = w.findings
	}
	for _, test := range list {
		opens := func(name string) bool { return strings.HasPrefix(test.ShortName, name) }
		if strings.HasPrefix(test.ShortName, "Mesh") != l.mesh || slices.Contains(ofTheController, test.ShortName) ||
			slices.ContainsFunc(connections, opens) {
			continue
		}
		l.test = test.ShortName
		before, made := l.asked, len(l.records)
		ok := t.Run(test.ShortName, func(t *testing.T) { test.Run(t, s) })
		if !ok && l.asked > before && !slices.ContainsFunc(l.records[made:], func(r record) bool { return !r.Right }) {
			l.add("what the test looks at besides", false, "")
		}
	}
}
