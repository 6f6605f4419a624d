package main

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/serve"
)

// revokeOptions are the flags of meshc certs revoke.
type revokeOptions struct {
	authority authorityFlags
	// identity or holder is whose certificates are meant; server is asked for those of a holder.
	identity, holder, server string
	// serial is the number of a certificate, whose holder is meant.
	serial string
	reason string
	drain  bool
	undo   bool
}

func newCertsRevokeCmd() *cobra.Command {
	var o revokeOptions
	cmd := &cobra.Command{
		Use:   "revoke (--identity ID | --holder NAME | --serial NUMBER [--identity ID])",
		Short: "Take certificates back before their end",
		Long: `Revoke takes back certificates of the embedded authority: with --identity all of an identity, which gets no other before the
revocation is undone (services that share an account have one identity, and all of them lose theirs); with --holder those of
one host, by its name in "meshc status -o json" (holders), and all that follow them by renewal. Such a host needs a join token
that was made after the revocation. Its name is what the host said of itself: where the identity's key may be known to
others, revoke the identity. With --serial it is the host that has, or had, the
certificate of that serial number, as openssl x509 -serial prints it; --identity names its identity where meshc serve has not heard of it.

meshc serve, which follows the authority, renews nothing for the holder from then on, ends its connections, and tells all
proxies at once. They refuse its new connections and requests, and end its connections that are open, with their streams,
within 5 seconds; the connections of others stay. Whom an identity is taken from is called by nobody either. One sort of
connection goes on: over TCP or HTTP/1.1, on which the holder only receives and sends nothing any more. With --drain proxies
also drain each port that the identity may call: everything that is open to it ends within mesh.proxy.drainTime, that of
others too. The same holds for all but the four newest revocations, and for proxies with a bootstrap of an older version.

It does not reach proxies with delivery "static", other programs that trust the mesh's roots, and certificates of other
issuers (revoke those there): they believe a certificate until its end. A pod whose service account token is in wrong hands
must be deleted first, for its token gets it another certificate; or revoke the identity.

With --undo a revocation is taken back: what has not ended by then is good again.`,
		Example: `  meshc certs revoke --identity spiffe://shop.example/ns/default/sa/cart --reason "key was copied" --ca ~/.meshc/ca
  meshc certs revoke --holder host7:/etc/meshc/certificates --ca ~/.meshc/ca
  meshc certs revoke --serial "$(openssl x509 -noout -serial -in stolen.crt)" --ca ~/.meshc/ca
  meshc certs revoke --identity spiffe://shop.example/ns/default/sa/cart --undo --ca-secret shop-system/meshc-authority`,
		Args: cobra.NoArgs,
		RunE: o.run,
	}
	o.authority.add(cmd)
	cmd.Flags().StringVar(&o.identity, "identity", "", "SPIFFE ID whose certificates are taken back, all of them")
	cmd.Flags().StringVar(&o.holder, "holder", "",
		"name of the host whose certificates are taken back, as meshc status has it")
	cmd.Flags().StringVar(&o.serial, "serial", "",
		"serial number, in hexadecimal, of a certificate whose host's certificates are taken back")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for those who look at it later")
	cmd.Flags().StringVar(&o.server, "server", usualServer,
		"with --holder and --serial: admin address of meshc serve")
	cmd.Flags().BoolVar(&o.drain, "drain", false,
		"also drain the ports that the identity may call, which ends all connections to them within mesh.proxy.drainTime")
	cmd.Flags().BoolVar(&o.undo, "undo", false, "undo the revocation")
	return cmd
}

// run revokes what is chosen, or undoes that.
func (o *revokeOptions) run(cmd *cobra.Command, _ []string) error {
	switch {
	case o.serial == "" && (o.identity == "") == (o.holder == ""):
		return usage(errors.New("give either --identity or --holder"))
	case o.undo && o.drain:
		return usage(errors.New("--drain is for a revocation: omit it with --undo"))
	case o.serial != "" && o.holder != "":
		return usage(errors.New("--serial already names the holder: leave --holder out"))
	}
	if len(o.reason) > maxReason {
		return usage(fmt.Errorf("the reason has more than %d bytes", maxReason))
	}
	a, err := o.authority.open(cmd.Context())
	if err != nil {
		return err
	}
	chosen, err := o.chosen(cmd, a)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		return fmt.Errorf("%s: %w (meshc certs revoked lists what was)", o.holder+o.serial, ca.ErrNotRevoked)
	}
	for _, r := range chosen {
		said := "is revoked: proxies of meshc serve refuse it within seconds"
		if o.undo {
			said = "is not revoked any more"
			err = a.Unrevoke(r)
		} else {
			r.Reason, r.Drain = o.reason, o.drain
			r, err = a.Revoke(r, time.Now())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", revokedName(&r), err)
		}
		fmt.Fprintln(cmd.OutOrStdout(), revokedName(&r), said)
	}
	return nil
}

// chosen are the revocations that are meant: of an identity, of a holder that was revoked, or of one that meshc serve
// knows.
func (o *revokeOptions) chosen(cmd *cobra.Command, a *ca.Authority) ([]ca.Revocation, error) {
	var id spiffeid.ID
	if o.identity != "" {
		var err error
		if id, err = spiffeid.FromString(o.identity); err != nil {
			return nil, usage(
				fmt.Errorf("%q is not a valid SPIFFE ID, which has the form spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT", o.identity))
		}
	}
	chain, err := chainOfSerial(o.serial)
	switch {
	case err != nil:
		return nil, err
	case chain != "" && o.undo:
		return slices.DeleteFunc(a.Revocations(), func(r ca.Revocation) bool { return r.Chain != chain }), nil
	case o.identity != "":
		return []ca.Revocation{{Identity: id, Chain: chain}}, nil
	case o.undo:
		return slices.DeleteFunc(a.Revocations(),
			func(r ca.Revocation) bool { return r.Chain == "" || r.Holder != o.holder }), nil
	}
	report, _, err := fetchStatus(cmd, o.server)
	if err != nil {
		return nil, err
	}
	if chain != "" {
		return ofChain(report, chain)
	}
	return chainsOf(report, o.holder)
}

// chainOfSerial is the chain of the certificate with a serial number; empty for none.
func chainOfSerial(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	digits := strings.NewReplacer(":", "", "serial=", "", "0x", "").Replace(strings.TrimSpace(text))
	serial, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		return "", usage(fmt.Errorf(
			"%q is not a valid serial number, which is hexadecimal, as openssl x509 -noout -serial prints it", text))
	}
	chain, ok := ca.ChainOf(serial)
	if !ok {
		return "", fmt.Errorf(
			"%s does not identify a holder: another issuer made it, or an older version of meshc; revoke the holder or the identity", text)
	}
	return chain, nil
}

// ofChain is the revocation of the holder whose certificates are of that chain.
func ofChain(r *serve.Report, chain string) ([]ca.Revocation, error) {
	for _, h := range r.Holders {
		if h.Chain != chain {
			continue
		}
		id, err := spiffeid.FromString(h.Identity)
		return []ca.Revocation{{Identity: id, Chain: chain, Holder: h.Name}}, err
	}
	return nil, errors.New("meshc serve has no holder with a certificate of that serial number: give the certificate's identity too (--identity)")
}

// maxReason bounds why something was revoked, in bytes.
const maxReason = 500

// chainsOf are the revocations by which the certificates of holders of that name are taken back.
func chainsOf(r *serve.Report, name string) (out []ca.Revocation, err error) {
	for _, h := range r.Holders {
		if h.Name != name {
			continue
		}
		id, err := spiffeid.FromString(h.Identity)
		if err != nil {
			return nil, err
		}
		if h.Chain == "" {
			return nil, fmt.Errorf(
				"the certificate of %s (%s) does not identify its holder, since an older version issued it: revoke its identity", name, id)
		}
		out = append(out, ca.Revocation{Identity: id, Chain: h.Chain, Holder: name})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf(
			"meshc serve has no holder %q: meshc status -o json lists them; revoke one that has not connected since it started by its identity", name)
	}
	return out, nil
}

func revokedName(r *ca.Revocation) string {
	switch {
	case r.Chain == "":
		return r.Identity.String()
	case r.Holder == "":
		return r.Identity.String() + " in chain " + r.Chain
	}
	return r.Identity.String() + " at " + r.Holder
}

func newCertsRevokedCmd() *cobra.Command {
	var authority authorityFlags
	cmd := &cobra.Command{
		Use:   "revoked",
		Short: "List what was revoked",
		Long: `Revoked lists the certificates that were taken back ("meshc certs revoke"): whose, since when and why. That of a host is over when the last of its certificates has
ended, that of an identity when it is undone.`,
		Example: `  meshc certs revoked --ca ~/.meshc/ca`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := authority.open(cmd.Context())
			if err != nil {
				return err
			}
			return printRevoked(cmd.OutOrStdout(), a.Revocations())
		},
	}
	authority.add(cmd)
	return cmd
}

func printRevoked(w io.Writer, list []ca.Revocation) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "nothing is revoked")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "IDENTITY\tHOLDER\tREVOKED\tUNTIL\tREASON")
	for _, r := range list {
		holder, until, reason := r.Holder, r.Until.Format(time.RFC3339), strings.Join(strings.Fields(r.Reason), " ")
		if r.Chain == "" {
			holder, until = "all", "undone"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Identity, holder, r.At.Format(time.RFC3339), until, reason)
	}
	return t.Flush()
}
