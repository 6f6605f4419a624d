package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/lever"
)

// leverOptions are the flags of meshc lever.
type leverOptions struct {
	operatorFlags
	output   output
	from, to string
	lasts    time.Duration
	reason   string
	dryRun   bool
	percent  uint32
	requests uint32
	// what open lets in
	port, method, path string
}

func newLeverCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lever",
		Short: "Change something of the running mesh for a time, in an incident",
		Long: `Lever changes how the proxies of a running mesh treat calls, until a time: no spec changes and nothing is rolled
out, and all proxies have it within five seconds; freeze has changes of the mesh wait. A lever ends by itself at its time, within two seconds, also when every
meshc serve is gone: the proxies drop it. Where they have several then, they drop all of them when the first one ends;
those of open end each alone.

meshc serve logs who pulls a lever and why, and meshc status, the live page and meshc diff --server show those in force.
Each lever says what it changes, and prints the CUE that would say the same for good; --dry-run does nothing else. Only
operators may pull levers (mesh.operators), who prove who they are as for meshc tap. Servers with an authority (--ca,
--ca-secret) share levers and keep them over restarts; of others name all, and a restart of one ends its levers.

It exits with 1 if a proxy has not taken the change within five seconds.`,
		Example: `  meshc lever shed --from batch --to payment --for 15m --reason INC-7 --certificates /etc/meshc/oncall
  meshc lever list --certificates /etc/meshc/oncall`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newShedCmd(), newLimitCmd(), newRetriesOffCmd(), newOpenCmd(), newFreezeCmd(), newLeverListCmd(),
		newLeverEndCmd())
	return cmd
}

func newShedCmd() *cobra.Command {
	o := &leverOptions{}
	cmd := o.pulls(lever.Shed, &cobra.Command{
		Short: "Refuse a share of the requests of a caller",
		Long: `Shed has the proxies of a caller, or of all callers, refuse a share of the requests to a callee with 503, so that
they do not reach it. New connections below HTTP are closed where all is refused; those that are open stay.`,
		Example: `  meshc lever shed --from batch --to payment --for 15m --reason "INC-7: payment is slow" --certificates /etc/meshc/oncall
  meshc lever shed --to payment --percent 50 --for 5m --reason INC-7 --dry-run --certificates /etc/meshc/oncall`,
	})
	cmd.Flags().Uint32Var(&o.percent, "percent", 100, "share of the requests")
	return cmd
}

func newLimitCmd() *cobra.Command {
	o := &leverOptions{}
	cmd := o.pulls(lever.Limit, &cobra.Command{
		Short: "Limit how many requests a caller has in flight",
		Long: `Limit bounds how many requests each proxy of a caller, or of all callers, has in flight to a callee, and how many
connections below HTTP; it answers 503 to more. A stricter bound of the spec holds no more meanwhile.`,
		Example: `  meshc lever limit --from frontend --to cart --requests 20 --for 30m --reason INC-7 --certificates /etc/meshc/oncall`,
	})
	cmd.Flags().Uint32Var(&o.requests, "requests", 0, "how many, for each proxy of the caller")
	return cmd
}

func newRetriesOffCmd() *cobra.Command {
	return new(leverOptions).pulls(lever.RetriesOff, &cobra.Command{
		Short: "Send no failed request again",
		Long: `Retries-off has the proxies of a caller, or of all callers, send no failed request to a callee again, or to nobody
without --to. That is also so for requests that an instance refused unread, as one does that ends.`,
		Example: `  meshc lever retries-off --to payment --for 15m --reason "INC-7: a storm of retries" --certificates /etc/meshc/oncall`,
	})
}

func newOpenCmd() *cobra.Command {
	o := &leverOptions{}
	cmd := o.pulls(lever.Open, &cobra.Command{
		Short: "Let a caller in that a service denies",
		Long: `Open has the proxies of a service let a caller in, as a rule of allow would: all its requests on the ports that it
calls, or those on one port, with one method, for one path ("/a/b", or "/a/*" for all below). The caller must use the service
in the spec, so no call becomes possible between members that never call each other. Rules of deny go on to hold, and so do tokens
that the port asks for. It lasts 8h at most. Each proxy has the end of the rule with it and ends it by its own clock, for
requests that begin later, and below HTTP for connections that do.`,
		Example: `  meshc lever open --from web --to cart --method POST --path "/carts/*" --for 1h --reason "INC-7: a release needs it" --certificates /etc/meshc/oncall`,
	})
	cmd.Flags().StringVar(&o.port, "port", "", "name of a port of the service (default all that the caller calls)")
	cmd.Flags().StringVar(&o.method, "method", "", "method of the requests (default all)")
	cmd.Flags().StringVar(&o.path, "path", "", "path of the requests, or PREFIX/* (default all)")
	return cmd
}

func newFreezeCmd() *cobra.Command {
	return new(leverOptions).pulls(lever.Freeze, &cobra.Command{
		Short: "Take no change of the mesh",
		Long: `Freeze has all servers serve the mesh as it is: a changed spec waits, and is taken when the lever ends, the last one
alone. Instances that come and go, certificates, revocations and other levers go on. meshc status says that a change waits, and
rollouts fail with that. A server that is started meanwhile has no mesh but the changed one, and takes it.`,
		Example: `  meshc lever freeze --for 1h --reason "INC-7: no changes until it is understood" --certificates /etc/meshc/oncall`,
	})
}

// pulls makes a command that pulls a lever.
func (o *leverOptions) pulls(kind lever.Kind, cmd *cobra.Command) *cobra.Command {
	cmd.Use, cmd.Args = string(kind), cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := time.Now()
		return o.ask(cmd, &serve.LeverRequest{
			Pull: &lever.Lever{
				ID: strings.ToLower(rand.Text()[:8]), Kind: kind, Percent: o.percent, Requests: o.requests,
				Port: o.port, Method: o.method, Path: o.path,
				Until: now.Add(o.lasts).Truncate(time.Second), Reason: o.reason,
			},
			From: o.from, To: o.to, DryRun: o.dryRun,
		})
	}
	o.common(cmd)
	if kind != lever.Freeze {
		cmd.Flags().StringVar(&o.from, "from", "", "service or gateway that calls (default all)")
		cmd.Flags().StringVar(&o.to, "to", "", "service or external that is called")
	}
	cmd.Flags().DurationVar(&o.lasts, "for", 15*time.Minute, "how long it lasts, at most 24h")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the log and for others")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only say what it would change")
	return cmd
}

func (o *leverOptions) common(cmd *cobra.Command) {
	o.operatorFlags.add(cmd.Flags())
	o.output.add(cmd, "text", "json")
}

func newLeverListCmd() *cobra.Command {
	o := &leverOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List the levers in force", Args: cobra.NoArgs,
		Long:    `List shows the levers in force: what each does, until when, whose it is and why.`,
		Example: `  meshc lever list --certificates /etc/meshc/oncall`,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.ask(cmd, &serve.LeverRequest{}) },
	}
	o.common(cmd)
	return cmd
}

func newLeverEndCmd() *cobra.Command {
	o := &leverOptions{}
	cmd := &cobra.Command{
		Use: "end ID", Short: "End a lever before its time", Args: cobra.ExactArgs(1),
		Long:    `End takes back a lever, by its id, and waits until all proxies have dropped it.`,
		Example: `  meshc lever end k3v2x7qa --certificates /etc/meshc/oncall`,
		RunE:    func(cmd *cobra.Command, args []string) error { return o.ask(cmd, &serve.LeverRequest{End: args[0]}) },
	}
	o.common(cmd)
	return cmd
}

// ask asks each server, and writes what they say. The first one says what a lever changes: it is the same for all.
func (o *leverOptions) ask(cmd *cobra.Command, r *serve.LeverRequest) error {
	if r.Pull != nil && o.reason == "" {
		return usage(errors.New("say why (--reason)"))
	}
	clients, err := o.clients(cmd)
	if err != nil {
		return err
	}
	behind := false
	for i, client := range clients {
		answer, err := client.Lever(cmd.Context(), r)
		if err != nil {
			return err
		}
		behind = behind || len(answer.Behind) > 0
		if o.output.program() {
			err = o.output.print(cmd.OutOrStdout(), answer)
		} else {
			err = printLever(cmd.OutOrStdout(), client.Address, r, answer, i == 0)
		}
		if err != nil {
			return err
		}
	}
	if behind {
		return errFindings
	}
	return nil
}

// printLever writes what a server says, for people.
func printLever(w io.Writer, server string, r *serve.LeverRequest, a *serve.LeverAnswer, first bool) error {
	var out []string
	if first {
		out = append(out, a.Effects...)
		if a.Permanent != "" {
			out = append(out, "", "to keep it, write:", "\t"+strings.ReplaceAll(a.Permanent, "\n", "\n\t"), "")
		}
	}
	switch {
	case r.Pull != nil && r.Pull.Kind == lever.Freeze: // no proxy is concerned
	case r.DryRun:
		out = append(out, fmt.Sprintf("%s: %s connected that it would concern", server,
			counted(a.Proxies, "proxy is", "proxies are")))
	case r.Pull != nil || r.End != "":
		out = append(out, fmt.Sprintf("%s: %d of %s taken it", server, a.Proxies-len(a.Behind),
			counted(a.Proxies, "proxy has", "proxies have")))
		for _, node := range a.Behind {
			out = append(out, "  "+node+" has not: it does not answer, or began with the bootstrap of an older meshc")
		}
	}
	if len(a.Levers) == 0 {
		out = append(out, server+": no lever is in force")
	}
	for i := range a.Levers {
		out = append(out, a.Levers[i].Line())
	}
	_, err := fmt.Fprintln(w, strings.Join(out, "\n"))
	return err
}
