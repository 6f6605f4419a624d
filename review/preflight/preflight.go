// Package preflight looks whether a mesh and the machine that it stands on are fit for an installation or an upgrade:
// what would make it fail later, and can be seen before.
package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/serve"
)

// Result is what one check found.
type Result struct {
	// Check is its name, and Of what it looked at.
	Check string `json:"check"`
	Of    string `json:"of,omitempty"`
	Good  bool   `json:"good"`
	// Text says what was found, and Hint what to do about what is not good.
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// The checks, in the order in which they are made.
const (
	ServerAnswers = "server"
	MeshServed    = "mesh"
	Connected     = "proxies"
	SameEnvoy     = "envoy versions"
	Certificates  = "certificates"
	Clocks        = "clocks"
	Inotify       = "inotify"
	OpenFiles     = "open files"
)

// What is too little.
const (
	// maxSkew is how far a clock may be off: certificates are valid from a minute before they are signed.
	maxSkew = 10 * time.Second
	// leastLife is the least remaining time of a certificate.
	leastLife = time.Hour
	// leastInotify is the least number of inotify instances of a user: Envoy needs up to four.
	leastInotify = 256
	// leastFiles is the least number of files that a process may have open. Each request of a proxy has two
	// connections.
	leastFiles = 4096
)

// Sources say what is looked at.
type Sources struct {
	// Servers are admin addresses of meshc serve, HOST:PORT, and Envoys those of proxies.
	Servers, Envoys []string
	// Cluster is one of Kubernetes; nil for none.
	Cluster *Cluster
	// Limits are those of the kernel for this process; see [LimitsOfThisMachine].
	Limits Limits
}

// Run makes all checks.
func Run(ctx context.Context, from Sources) (out []Result) {
	var proxies []serve.Proxy
	for _, address := range from.Servers {
		status, results := server(ctx, address)
		out = append(out, results...)
		if status != nil {
			proxies = append(proxies, status.Proxies...)
		}
	}
	if len(from.Servers) > 0 {
		out = append(out, connected(proxies), sameEnvoy(proxies))
	}
	for _, address := range from.Envoys {
		out = append(out, envoy(ctx, address)...)
	}
	if from.Cluster != nil {
		out = append(out, from.Cluster.results(ctx)...)
	}
	return append(out, from.Limits.results()...)
}

// server looks at what a server tells of itself.
func server(ctx context.Context, address string) (*serve.Report, []Result) {
	status := &serve.Report{}
	skew, err := ask(ctx, address, "/status", status)
	if err != nil {
		return nil, []Result{{
			Check: ServerAnswers, Of: address, Text: err.Error(),
			Hint: "start meshc serve, or name its --admin-listen by --server; " +
				"in Kubernetes forward a port (kubectl port-forward)",
		}}
	}
	out := []Result{{Check: ServerAnswers, Of: address, Good: true, Text: "it answers"}, clock(address, skew)}
	mesh := Result{
		Check: MeshServed, Of: address, Good: status.Mesh != "" && status.Failure == "", Text: "it serves " + status.Mesh,
	}
	switch {
	case status.Failure != "":
		mesh.Text = "the mesh on its disk is wrong: " + status.Failure
		mesh.Hint = "correct it before you upgrade: a server that restarts has no last good one (meshc vet)"
	case status.Mesh == "":
		mesh.Text, mesh.Hint = "it serves no mesh", "see its log: it names what is wrong with the mesh"
	}
	return status, append(append(out, mesh), holders(address, status))
}

// holders looks at the certificates of hosts that the authority issued.
func holders(address string, status *serve.Report) Result {
	out := Result{
		Check: Certificates, Of: address, Good: true,
		Text: fmt.Sprintf("it issued those of %d hosts and pods", len(status.Holders)),
	}
	var soon []string
	for i := range status.Holders {
		if h := &status.Holders[i]; h.EndsSoon || !h.Keeps && time.Until(h.Until) < leastLife {
			soon = append(soon, fmt.Sprintf("%s (%s) until %s", h.Name, h.Identity, h.Until.UTC().Format(time.RFC3339)))
		}
	}
	if soon != nil {
		out.Good, out.Text = false, "certificates end soon: "+strings.Join(soon, ", ")
		out.Hint = "get new ones by join tokens (meshc certs token), and renew them in time (meshc certs request --keep)"
	}
	return out
}

// connected looks for members without a proxy that is connected, and for proxies that have not taken the mesh.
func connected(proxies []serve.Proxy) Result {
	seen := map[string]bool{}
	for i := range proxies {
		seen[proxies[i].Node] = seen[proxies[i].Node] || proxies[i].Connected
	}
	var wrong []string
	for i := range proxies {
		p := &proxies[i]
		switch state := p.State(); {
		case p.Excepted != "", state == serve.StateCurrent, state == serve.StateAbsent && seen[p.Node]:
		case !slices.Contains(wrong, p.Node+": "+state):
			wrong = append(wrong, p.Node+": "+state)
		}
	}
	if wrong == nil {
		return Result{Check: Connected, Good: true, Text: fmt.Sprintf("%d proxies have taken the mesh", len(proxies))}
	}
	return Result{
		Check: Connected, Text: strings.Join(wrong, ", "),
		Hint: "a member that is not connected has no proxy, or one that cannot reach or prove itself to meshc serve; " +
			"see meshc status",
	}
}

// sameEnvoy looks for proxies that run another version of Envoy than others.
func sameEnvoy(proxies []serve.Proxy) Result {
	of := map[string][]string{}
	for i := range proxies {
		if p := &proxies[i]; p.Connected && p.Version != "" {
			of[p.Version] = append(of[p.Version], p.Node)
		}
	}
	var all []string
	for version, nodes := range of {
		slices.Sort(nodes)
		all = append(all, fmt.Sprintf("%s: %s", version, strings.Join(slices.Compact(nodes), ", ")))
	}
	slices.Sort(all)
	if len(all) < 2 {
		return Result{Check: SameEnvoy, Good: true, Text: "all proxies run one version of Envoy"}
	}
	return Result{
		Check: SameEnvoy, Text: "proxies run several versions of Envoy: " + strings.Join(all, "; "),
		Hint: "finish the upgrade before the next one: restart what has the old version",
	}
}

// clock is how far the clock of somebody is from that of this machine.
func clock(of string, skew time.Duration) Result {
	if skew.Abs() <= maxSkew {
		return Result{Check: Clocks, Of: of, Good: true, Text: "its clock agrees with that of this machine"}
	}
	return Result{
		Check: Clocks, Of: of, Text: fmt.Sprintf("its clock is %v off that of this machine", skew.Round(time.Second)),
		Hint: "correct the wrong one of the two clocks (NTP): certificates and rules with an end depend on them",
	}
}
