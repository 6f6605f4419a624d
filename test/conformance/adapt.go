// Package conformance runs the requests of the Gateway API's conformance suite through what `meshc import` makes of the
// suite's manifests. The suite is made for a controller in a cluster: it applies manifests, waits for conditions of
// their status, and sends requests. Here its tests are compiled from a copy, in which they wait for
// nothing, and say of each request whether the answer is what they want, instead of ending at the first that is not.
// Its manifests and its tables of requests are those of its module, unchanged.
package conformance

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// replaced are the functions of the suite that do something else here, by file: what is in their place, after their
// signature. The originals remain under another name.
var replaced = map[string]map[string]string{
	"utils/http/http.go": {
		// One answer decides: nothing has to settle.
		"AwaitConvergence": `{ tlog.Record(t, fn(0)) }`,
		"WaitForConsistentFailureResponse": `{
	_, cRes, err := r.CaptureRoundTrip(req)
	tlog.Record(t, err != nil || cRes.StatusCode != 200)
}`,
	},
	"utils/http/mirror.go": {
		"ExpectMirroredRequest": `{
	var names []string
	for _, pod := range mirrorPods {
		names = append(names, pod.Name)
	}
	return func() { tlog.Record(t, tlog.Mirrored(t, names, path)) }
}`,
	},
	"utils/tls/tls.go": {
		"MakeTLSRequestAndExpectFailureResponse": `{
	req := http.MakeRequest(t, &expected, gwAddr, roundtripper.HTTPSProtocol, "https")
	req.ServerName = serverName
	_, _, err := r.CaptureRoundTrip(req)
	tlog.Record(t, err != nil)
}`,
		"waitForTLSConnectionRejection": `{}`,
	},
	"utils/weight/weight.go": {
		"TestWeightedDistribution": `{
	err := originalTestWeightedDistribution(sender, expectedWeights)
	for n := 1; err != nil && n < MaxTestRetries; n++ {
		err = originalTestWeightedDistribution(sender, expectedWeights)
	}
	tlog.RecordError(err)
	return nil
}`,
		"TestWeightedDistributionBatch": `{
	err := originalTestWeightedDistributionBatch(sender, expectedWeights)
	for n := 1; err != nil && n < MaxTestRetries; n++ {
		err = originalTestWeightedDistributionBatch(sender, expectedWeights)
	}
	tlog.RecordError(err)
	return nil
}`,
	},
	"utils/echo/pod.go": {
		"ConnectToAppInNamespace": `{ return MeshPod{Name: string(app), Namespace: ns, Address: "10.99.0.1"} }`,
		"request":                 `{ return Send(m, args) }`,
		"RequestBatch": `{
	var out []Response
	for range count {
		r, err := Send(m, makeRequest(t, &exp))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}`,
	},
	"utils/kubernetes/logs.go": {
		"DumpEchoLogs": `{ return tlog.Copies(name), nil }`,
	},
	"utils/tcp/tcp.go": {}, "utils/udp/udp.go": {}, "utils/kubernetes/helpers.go": {},
	"utils/tlog/tlog.go": {
		"Logf": `{ t.Helper(); Said(t, fmt.Sprintf(format, args...)) }`,
	},
}

// added is what files have besides.
var added = map[string]string{
	"utils/echo/pod.go": `
// Send sends a request from a pod.
var Send func(m *MeshPod, args []string) (Response, error)
`,
	"utils/tlog/tlog.go": `
// Record takes whether an answer is what the suite wants, and RecordError why it is not. Mirrored reports whether
// copies of the request to a path go to these Services. Said takes what the suite logs.
// Copies are the lines that a Service's pods log of the copies that they got.
var (
	Record      func(t *testing.T, ok bool)
	RecordError func(err error)
	Mirrored    func(t *testing.T, services []string, path string) bool
	Said        func(t *testing.T, text string)
	Copies      func(service string) []string
)
`,
}

// kept are the helpers that do what they do in a cluster; all others that take a *testing.T return at once.
var kept = []string{
	"WaitForGatewayAddress", "getGatewayStatus", "GetTLSSecret", "GetConfigMapData", "GatewayAndRoutesMustBeAccepted",
	"GatewayAndHTTPRoutesMustBeAccepted", "GatewayAndUDPRoutesMustBeAccepted", "GatewayAndTLSRoutesMustBeAccepted",
	"GatewayAndTCPRoutesMustBeAccepted",
}

// Adapt writes a copy of the suite's module into a directory, in which those functions are replaced. The file that it
// returns is for -modfile of the go command: the go.mod of the module, with the suite of tools/conformance/go.mod and
// the copy in its place.
func Adapt(module, dir string) (string, error) {
	if err := os.CopyFS(filepath.Join(dir, "suite"), os.DirFS(module)); err != nil {
		return "", err
	}
	for file, functions := range replaced {
		name := filepath.Join(dir, "suite", filepath.FromSlash(file))
		source, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		text, err := rewritten(source, functions)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if err := os.Chmod(name, 0o600); err != nil {
			return "", err
		}
		if err := os.WriteFile(name, []byte(text+added[file]), 0o600); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			return "", err
		}
		more, err := os.ReadFile(filepath.Join("..", "..", "tools", "conformance", name))
		if err != nil {
			return "", err
		}
		if name == "go.mod" {
			_, more, _ = bytes.Cut(more, []byte("require ")) // with its version
			more = []byte("require " + string(more) + "replace sigs.k8s.io/gateway-api/conformance => " +
				filepath.Join(dir, "suite") + "\n")
		}
		text = append(append(text, '\n'), more...)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "go.mod"), nil
}

// rewritten is a file in which functions have other bodies. Without any, all that take a *testing.T return at once but
// those that are kept.
func rewritten(source []byte, functions map[string]string) (string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", source, parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	at := func(p token.Pos) int { return fset.Position(p).Offset }
	text, more := string(source), ""
	for _, d := range slices.Backward(file.Decls) {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		body, wanted := functions[f.Name.Name]
		if len(functions) == 0 && f.Recv == nil && f.Name.IsExported() && !slices.Contains(kept, f.Name.Name) &&
			strings.Contains(string(source[at(f.Type.Params.Pos()):at(f.Type.Params.End())]), "*testing.T") {
			body, wanted = returns(f, func(n ast.Node) string { return string(source[at(n.Pos()):at(n.End())]) }), true
		}
		if !wanted {
			continue
		}
		more += "\n" + string(source[at(f.Pos()):at(f.Body.Pos())]) + body + "\n"
		name := "original" + strings.ToUpper(f.Name.Name[:1]) + f.Name.Name[1:]
		text = text[:at(f.Name.Pos())] + name + text[at(f.Name.End()):]
	}
	if strings.Contains(more, "tlog.") && !strings.Contains(text, `utils/tlog"`) {
		text = strings.Replace(text, "import (", "import (\n\t\"sigs.k8s.io/gateway-api/conformance/utils/tlog\"\n", 1)
	}
	return text + more, nil
}

// returns is a body that returns the zero values of a function's results.
func returns(f *ast.FuncDecl, text func(ast.Node) string) string {
	if f.Type.Results == nil {
		return "{}"
	}
	var names, declared []string
	for i, r := range f.Type.Results.List {
		name := fmt.Sprintf("zero%d", i)
		names = append(names, name)
		declared = append(declared, "var "+name+" "+text(r.Type)+"; ")
	}
	return "{ " + strings.Join(declared, "") + "return " + strings.Join(names, ", ") + " }"
}
