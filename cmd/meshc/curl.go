package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/host/local"
	"github.com/meshc/meshc/review/verify"
)

// curlOptions are the flags of meshc curl: those of meshc try that say what a request is, and how it is sent.
type curlOptions struct {
	tryOptions
	method, data string
	http2        bool
}

func newCurlCmd() *cobra.Command {
	var o curlOptions
	cmd := &cobra.Command{
		Use:   "curl --from SENDER URL",
		Short: "Send a real request through the mesh that meshc up runs",
		Long: `Curl sends one request through the proxies of the meshc up that runs of this spec, and prints the answer, and beside
it what meshc try says of the request in the mesh that runs. It works in every directory of the spec.

The sender is a service, by its name: the request goes through its own proxy, and to a service that it does not use
past that, with its certificate. Or the sender is gateway:NAME: somebody outside sends it to that gateway, at the port
and with the host that the spec says. --token signs a good token of an issuer of the mesh, with the claims of --jwt.

It exits with 0 when the answer is as meshc try says, also when that is a denial, and with 1 when it is not.`,
		Example: `  meshc curl --from frontend http://checkout/shop.Checkout/Place -X POST -H 'x-beta: 1'
  meshc curl --from gateway:public https://shop.example/cart
  meshc curl --from frontend http://payment/charge -d amount=5 --token accounts --jwt role=buyer`,
		Args: cobra.ExactArgs(1),
		RunE: o.run,
	}
	cmd.Flags().StringVar(&o.from, "from", "", "who sends it: NAME of a service, or gateway:NAME")
	cmd.Flags().StringVarP(&o.method, "request", "X", "", "method (default: GET, or with --data POST)")
	cmd.Flags().StringArrayVarP(&o.headers, "header", "H", nil, "header, as with curl: 'NAME: VALUE'")
	cmd.Flags().StringVarP(&o.data, "data", "d", "",
		"body; @FILE for what is in a file, @- for standard input. Its type is that of a form, unless a header says "+
			"another")
	cmd.Flags().BoolVar(&o.http2, "http2", false,
		"speak HTTP/2 to a gateway; a service speaks what the port that it calls does")
	cmd.Flags().StringVar(&o.issuer, "token", "", "sign a token of this issuer, by its name in the mesh")
	cmd.Flags().StringArrayVar(&o.claims, "jwt", nil,
		"claim of the token: NAME=VALUE; given again it is one more. Without --token it is of the only issuer")
	o.output.add(cmd, "text", "json", "yaml")
	completeSenders(cmd)
	return cmd
}

func (o *curlOptions) run(cmd *cobra.Command, args []string) error {
	body, err := o.body(cmd.InOrStdin())
	if err != nil {
		return usage(err)
	}
	request, err := o.request([]string{o.method, args[0]})
	if err != nil {
		return usage(err)
	}
	request.Empty = len(body) == 0
	spec, found := load.Root(".")
	if !found {
		return usage(errors.New("there is no mesh here: start curl in a directory of the spec that meshc up runs"))
	}
	running, err := local.Find(actual(spec))
	if err != nil {
		return err
	}
	if request.Token, err = o.token(running.Mesh); err != nil {
		return usage(err)
	}
	asked, err := verify.Ask(cmd.Context(), running, &verify.Question{Request: request, Body: body, HTTP2: o.http2})
	if err != nil {
		return err
	}
	if o.output.program() {
		err = o.output.print(cmd.OutOrStdout(), asked)
	} else {
		err = asked.Text(cmd.OutOrStdout())
	}
	if err == nil && !asked.Agrees {
		return errFindings
	}
	return err
}

// body is that of the request; with one the method and the type of its content are those of curl.
func (o *curlOptions) body(stdin io.Reader) (data []byte, err error) {
	name, file := strings.CutPrefix(o.data, "@")
	switch {
	case !file:
		data = []byte(o.data)
	case name == "-":
		data, err = io.ReadAll(stdin)
	default:
		data, err = os.ReadFile(name) // #nosec G304 -- the user names it
	}
	if o.method == "" {
		o.method = http.MethodGet
		if o.data != "" {
			o.method = http.MethodPost
		}
	}
	if o.data != "" && !slices.ContainsFunc(o.headers, func(h string) bool {
		name, _, _ := strings.Cut(h, ":")
		return strings.EqualFold(strings.TrimSpace(name), "content-type")
	}) {
		o.headers = append(o.headers, "content-type: application/x-www-form-urlencoded")
	}
	return data, err
}

// completeSenders lets a shell complete the members that may send a request; others are those that may besides.
func completeSenders(cmd *cobra.Command, others ...string) {
	complete(cmd, "from", func(cmd *cobra.Command) []string {
		senders := append(memberNames(cmd, ir.KindService), others...)
		for _, gateway := range memberNames(cmd, ir.KindGateway) {
			senders = append(senders, "gateway:"+gateway)
		}
		return senders
	})
}
