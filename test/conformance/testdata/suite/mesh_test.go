//go:build conformance

package suite

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/websocket"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/echo"
	confsuite "sigs.k8s.io/gateway-api/conformance/utils/suite"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// sender is a workload in the namespace of the suite's echo servers. The suite sends from a pod of the service that it
// calls, and in meshc no service calls itself (MC1204): the requests are sent from here.
func sender() *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "sender", Namespace: confsuite.MeshNamespace},
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "sender"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "c"}}},
		}},
	}
}

// member is the service that was made of the pods in a namespace that have labels; "" for none.
func (w *world) member(namespace string, labels map[string]string) string {
	if namespace == confsuite.MeshNamespace {
		labels = map[string]string{"app": "sender"}
	}
	for _, s := range w.imported.Sorted() {
		for _, o := range s.Workloads {
			has := s.Namespace == namespace
			for key, value := range labels {
				has = has && o.Labels[key] == value
			}
			if has {
				return s.Name
			}
		}
	}
	return ""
}

// fromMember sends a request as the arguments of the suite's client say.
func (l *lab) fromMember(from, namespace string, args []string) (echo.Response, error) {
	q := try.Request{From: try.Sender{Kind: ir.KindService, Name: from}, Method: "GET"}
	for i, arg := range args {
		switch {
		case strings.Contains(arg, "://") && !strings.HasPrefix(arg, "-"):
			if err := q.ParseURL(strings.Replace(arg, "grpc://", "http://", 1)); err != nil {
				return echo.Response{}, err
			}
			if strings.HasPrefix(arg, "grpc://") {
				q.Method, q.Path = "POST", "/proto.EchoTestService/Echo"
				q.Headers = append(q.Headers, ir.Header{Name: "content-type", Value: "application/grpc"})
			}
		case strings.HasPrefix(arg, "--method="):
			q.Method = strings.TrimPrefix(arg, "--method=")
		case i > 0 && args[i-1] == "-H":
			name, value, _ := strings.Cut(arg, ":")
			if strings.EqualFold(name, "host") {
				q.Authority = value
				if h, _, err := net.SplitHostPort(value); err == nil {
					value = h
				}
				continue
			}
			q.Headers = append(q.Headers, ir.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	slices.SortFunc(q.Headers, func(a, b ir.Header) int { return strings.Compare(a.Name, b.Name) })
	a, err := l.ask(q)
	if err != nil {
		return echo.Response{}, fmt.Errorf("%s (from %s)", err, from)
	}
	out := echo.Response{
		Code: strconv.Itoa(a.status), Hostname: a.pod, RequestHeaders: map[string][]string{},
		ResponseHeaders: map[string][]string{},
	}
	if a.location != "" {
		out.ResponseHeaders.Set("Location", a.location)
	}
	for name, values := range a.headers {
		for _, v := range values {
			out.RequestHeaders.Add(name, v)
		}
	}
	for name, values := range a.response {
		for _, v := range values {
			out.ResponseHeaders.Add(name, v)
		}
	}
	return out, nil
}

// echoing is a websocket to a server that sends back what it gets.
func echoing() (*websocket.Conn, error) {
	server := httptest.NewServer(websocket.Handler(func(c *websocket.Conn) { _, _ = io.Copy(c, c) }))
	return websocket.Dial("ws"+strings.TrimPrefix(server.URL, "http"), "", server.URL)
}
