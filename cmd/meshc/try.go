package main

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// method is how a method of HTTP is written.
var method = regexp.MustCompile(`^[A-Z][A-Z-]*$`)

// tryOptions are the flags of meshc try.
type tryOptions struct {
	dir    string
	output output
	tags   []string
	// from, headers, ip, at and the token's claims and issuer are the request's.
	from, ip, at, issuer string
	headers, claims      []string
}

func newTryCmd() *cobra.Command {
	var o tryOptions
	cmd := &cobra.Command{
		Use:   "try --from SENDER [METHOD] URL",
		Short: "Follow one request through the compiled mesh, without running anything",
		Long: `Try compiles the mesh, or reads a compiled one, and says what happens to one request: which route takes it, to which
version it goes and with what weight, what it is rewritten to, how long is waited and how often it is sent again, and which
rule allows or denies it, each step with the line of the spec that decided. When it is denied, it says what would have to
be written. What depends on more than the mesh, as chance, an authorization service or an address, it says.

The sender is a service, by its name; gateway:NAME for what somebody outside sends to a gateway; identity:SPIFFE-ID for
somebody with that identity who comes to a service past a proxy of its own; or outside for somebody without an identity. The URL is as the sender writes it: the service's name and port, or a
host of the gateway; a service's only port need not be written. tcp://ADDRESS:PORT is a connection of which nothing else
is known: on a port below HTTP the address says where it goes. A token is one that is good, with the claims of --jwt.`,
		Example: `  meshc try --from frontend POST http://checkout/shop.Checkout/Place -H 'x-beta: 1' --jwt role=buyer
  meshc try --from gateway:public https://shop.example/cart
  meshc try --from backup tcp://10.0.0.12:5432
  meshc try --from outside http://cart:7070/ --dir out -o json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: o.run,
	}
	cmd.Flags().StringVar(&o.from, "from", "",
		"who sends it: NAME of a service, gateway:NAME, identity:SPIFFE-ID or outside")
	cmd.Flags().StringArrayVarP(&o.headers, "header", "H", nil, "header, as with curl: 'NAME: VALUE'")
	cmd.Flags().StringArrayVar(&o.claims, "jwt", nil, "claim of a good token: NAME=VALUE; given again it is one more")
	cmd.Flags().StringVar(&o.issuer, "jwt-issuer", "",
		"issuer of the token by its name in the mesh (default: the only one)")
	cmd.Flags().StringVar(&o.ip, "ip", "",
		"address that the request comes from: of the connection, or with the PROXY protocol what that says")
	cmd.Flags().StringVar(&o.at, "at", "",
		"time at which it is sent, for rules that end: 2027-01-31T12:00:00Z (default: now)")
	cmd.Flags().StringVar(&o.dir, "dir", "", "a mesh.json or a directory that holds it; the spec is compiled without")
	o.output.add(cmd, "text", "json", "yaml")
	completeSenders(cmd, "outside")
	cmd.Flags().StringArrayVarP(&o.tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}

// run tries the request, once by chance and then for all that may come of it.
func (o *tryOptions) run(cmd *cobra.Command, args []string) error {
	request, err := o.request(args)
	if err != nil {
		return usage(err)
	}
	m, err := describedMesh(cmd, o.dir, o.tags)
	if err != nil {
		return err
	}
	if request.Token, err = o.token(m); err != nil {
		return usage(err)
	}
	trial, err := try.Try(m, request)
	if err != nil {
		return usage(err)
	}
	if trial.Outcomes, _, err = try.Outcomes(m, request); err != nil {
		return usage(err)
	}
	if o.output.program() {
		return o.output.print(cmd.OutOrStdout(), trial)
	}
	return trial.Text(cmd.OutOrStdout())
}

// request reads all of the request but its token, which depends on the mesh.
func (o *tryOptions) request(args []string) (try.Request, error) {
	request := try.Request{Method: "GET"}
	if len(args) == 2 {
		request.Method = args[0]
	}
	if !method.MatchString(request.Method) {
		return request, fmt.Errorf("%q is not a valid method: it is in upper case, GET say", request.Method)
	}
	if o.from == "" {
		return request, errors.New("the request needs --from: NAME of a service, gateway:NAME, identity:SPIFFE-ID or outside")
	}
	var err error
	if request.From, err = try.ParseSender(o.from); err != nil {
		return request, err
	}
	if err := request.ParseURL(args[len(args)-1]); err != nil {
		return request, err
	}
	for _, h := range o.headers {
		if err := request.AddHeader(h); err != nil {
			return request, err
		}
	}
	if o.ip != "" {
		if request.IP, err = netip.ParseAddr(o.ip); err != nil {
			return request, fmt.Errorf("--ip: %q is not a valid IP address", o.ip)
		}
	}
	if o.at != "" {
		if request.At, err = time.Parse(time.RFC3339, o.at); err != nil {
			return request, fmt.Errorf("--at is %q: write 2027-01-31T12:00:00Z", o.at)
		}
	}
	return request, nil
}

// token is the request's, of an issuer that the mesh has; nil for none.
func (o *tryOptions) token(m *ir.Mesh) (*try.Token, error) {
	if len(o.claims) == 0 && o.issuer == "" {
		return nil, nil
	}
	t := &try.Token{Issuer: o.issuer, Claims: map[string][]string{}}
	for _, text := range o.claims {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--jwt is %q: write NAME=VALUE", text)
		}
		t.Claims[name] = append(t.Claims[name], value)
	}
	if t.Issuer == "" && len(m.JWTIssuers) == 1 {
		t.Issuer = m.JWTIssuers[0].Name
	}
	if m.JWTIssuer(t.Issuer) == nil {
		var names []string
		for _, i := range m.JWTIssuers {
			names = append(names, i.Name)
		}
		return nil, fmt.Errorf("the mesh has no token issuer %q: name one of its issuers (%s)", t.Issuer,
			strings.Join(names, ", "))
	}
	return t, nil
}
