package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve"
)

// tapOptions are the flags of meshc tap.
type tapOptions struct {
	operatorFlags
	output  output
	request serve.TapRequest
}

func newTapCmd() *cobra.Command {
	var o tapOptions
	cmd := &cobra.Command{
		Use:   "tap",
		Short: "Show single requests of the running mesh, as they end",
		Long: `Tap has the proxies of one end of an edge show their requests, until Ctrl-C. --from names the caller, --to the callee;
the caller's proxies show them, with the route, or else the callee's, with the rule that decided (--at). No listener of a
proxy changes, and all ends within half a minute when tap or meshc serve is gone.

Only operators may tap, and meshc serve logs who does (mesh.operators). An operator shows a certificate of the mesh, from a
certificate directory, to meshc serve at the address that proxies ask; or with --token-file a token of Kubernetes, where it
signs certificates. Such a tap ends after 15 minutes. Of several servers each knows its own proxies: name all of them.

A proxy shows at most 100 requests a second; what is left out is told. --status is heeded by the proxy, so that errors are
found among many requests. A line has no header, no query string and no body. --headers shows headers of the request that
hold no credentials (as user-agent, content-type, traceparent), and --query the query string, without what is secret in it;
that they were asked for is logged. Requests below HTTP are shown when their connection ends. -o json writes a line for
each, as the access log has it, which "meshc logs" explains.`,
		Example: `  meshc tap --from frontend --to cart --certificates /etc/meshc/oncall
  meshc tap --to cart --status 5xx --certificates /etc/meshc/oncall
  meshc tap --from frontend --path /checkout -o json --certificates /etc/meshc/oncall | meshc logs
  kubectl create token oncall --audience spiffe://shop.example/ns/shop-system/sa/meshc |
    meshc tap --to cart --server 127.0.0.1:15012 --token-file - --trust-file roots.crt`,
		Args: cobra.NoArgs,
		RunE: o.run,
	}
	r := &o.request
	o.operatorFlags.add(cmd.Flags())
	cmd.Flags().StringVar(&r.From, "from", "", "service or gateway that sends the requests")
	cmd.Flags().StringVar(&r.To, "to", "", "service or external where they go")
	cmd.Flags().StringVar(&r.At, "at", "", "whose proxies show them: caller or callee")
	cmd.Flags().StringVar(&r.Port, "port", "", "name or number of a port of the callee")
	cmd.Flags().StringVar(&r.Path, "path", "", "what the path begins with")
	cmd.Flags().StringVar(&r.Method, "method", "", "method")
	cmd.Flags().StringVar(&r.Route, "route", "", "name of the route")
	cmd.Flags().StringVar(&r.Status, "status", "", "a status (503), a class (5xx) or a range (500-504); 0 for none")
	cmd.Flags().BoolVar(&r.Headers, "headers", false, "show headers of requests, but none that may hold credentials")
	cmd.Flags().BoolVar(&r.Query, "query", false, "show query strings, without the secrets in them")
	o.output.add(cmd, "text", "json")
	return cmd
}

func (o *tapOptions) run(cmd *cobra.Command, _ []string) error {
	switch {
	case o.request.From == "" && o.request.To == "":
		return usage(errors.New("name who sends the requests (--from), where they go (--to), or both"))
	}
	clients, err := o.clients(cmd)
	if err != nil {
		return err
	}
	show := tapView{out: cmd.OutOrStdout(), news: cmd.ErrOrStderr(), json: o.output.program()}
	asking, ctx := errgroup.WithContext(cmd.Context())
	for _, client := range clients {
		asking.Go(func() error {
			return client.Tap(ctx, &o.request, func(e *serve.TapEvent) error { return show.event(client.Address, e) })
		})
	}
	return asking.Wait()
}

// tapView writes what several servers show.
type tapView struct {
	mu        sync.Mutex
	out, news io.Writer
	json      bool
}

// event writes one: lines where they are read, and what is said of them beside it.
func (v *tapView) event(server string, e *serve.TapEvent) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case e.Tapped != nil && *e.Tapped == 0:
		fmt.Fprintf(v.news, "%s: no proxy is connected that could show such requests\n", server)
	case e.Tapped != nil:
		fmt.Fprintf(v.news, "%s: %s connected that show such requests\n", server,
			counted(*e.Tapped, "proxy is", "proxies are"))
	case e.Omitted > 0:
		fmt.Fprintf(v.news, "%s: %d requests were left out, as there were too many\n", server, e.Omitted)
	case v.json:
		return v.line(e)
	default:
		_, err := fmt.Fprintln(v.out, tapText(e))
		return err
	}
	return nil
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// line is that of an access log, with the proxy.
func (v *tapView) line(e *serve.TapEvent) error {
	fields := map[string]string{"time": e.Time.Format("2006-01-02T15:04:05.000Z"), "proxy": e.Proxy}
	for name, text := range e.Fields {
		fields[name] = text
	}
	data, err := json.Marshal(fields)
	if err == nil {
		_, err = fmt.Fprintf(v.out, "%s\n", data)
	}
	return err
}

// tapText is a line for people.
func tapText(e *serve.TapEvent) string {
	f := e.Fields
	out := []string{
		e.Time.Format("15:04:05.000"), identityText(f["caller"]), "→",
		cmp.Or(f["callee"], "(its own proxy)") + portSuffix(f["server.port"]),
	}
	if f["http.request.method"] != "" {
		path := f["url.path"]
		if query := f[envoy.TapQuery]; query != "" {
			path += "?" + query
		}
		out = append(out, f["http.request.method"], path, cmp.Or(f["http.response.status_code"], "0"))
	} else {
		out = append(out, cmp.Or(f["received.bytes"], "0")+" bytes in,", cmp.Or(f["sent.bytes"], "0")+" bytes out")
	}
	out = append(out, cmp.Or(f["time.last_byte"], "0")+"ms")
	for _, name := range []string{"rpc.grpc.status_code", "error.type", "http.route", "rule", "source", "details"} {
		if f[name] != "" && (name != "details" || f["error.type"] != "") {
			out = append(out, strings.TrimPrefix(name, "http.")+"="+f[name])
		}
	}
	for _, name := range envoy.TapHeaders {
		if text := f[envoy.TapHeader+name]; text != "" {
			out = append(out, fmt.Sprintf("%s=%q", name, text))
		}
	}
	return strings.Join(out, " ")
}

func portSuffix(port string) string {
	if port == "" {
		return ""
	}
	return ":" + port
}

// identityText is an identity without its trust domain: NAMESPACE/ACCOUNT.
func identityText(id string) string {
	if id == "" {
		return "(no certificate)"
	}
	if _, path, ok := strings.Cut(id, "/ns/"); ok {
		return strings.Replace(path, "/sa/", "/", 1)
	}
	return id
}
