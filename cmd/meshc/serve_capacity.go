package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/serve"
)

// printCapacity says what a server on this machine can carry of the mesh.
func printCapacity(cmd *cobra.Command, source serve.Source) error {
	if err := mayBegin(cmd, source); err != nil {
		return err
	}
	m, _, err := source.Load(cmd.Context())
	if err != nil {
		return err
	}
	costs, err := serve.MeasureCosts(m)
	if err != nil {
		return err
	}
	return writeCapacity(cmd.OutOrStdout(), m.Name, costs)
}

// writeCapacity writes an estimate, and what it follows from.
func writeCapacity(w io.Writer, mesh string, c *serve.Costs) error {
	capacity, unknown := c.Capacity(), "unknown"
	memory, byMemory := unknown, unknown
	if c.Memory > 0 {
		memory, byMemory = mebibytes(c.Memory), fmt.Sprint(capacity.ByMemory)
	}
	fmt.Fprintf(w, "mesh %s: %d members, each called service by %.1f of them; this machine: %d CPUs, memory %s\n",
		mesh, c.Members, c.Callers, c.CPUs, memory)
	fmt.Fprintf(w, "one server carries about %d proxies\n\n", capacity.Proxies)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "WHAT\tABOUT\tWHAT ONE COSTS")
	fmt.Fprintf(t, "proxies that fit into memory\t%s\t%d KiB; the mesh %s, a member's configuration %d KiB\n", byMemory,
		serve.ProxyBytes>>10, mebibytes(c.MeshBytes), c.MemberBytes>>10)
	fmt.Fprintf(t, "proxies that connect again within a minute\t%d\t%s of CPU; a member's configuration %s\n",
		capacity.ByCPU, rounded(capacity.Connect), rounded(c.Render))
	fmt.Fprintf(t, "changes of a service's instances per second\t%.0f\t%s for each caller's proxy\n", capacity.Events,
		rounded(capacity.Push))
	fmt.Fprintf(t, "changes of a service in the mesh per second\t%.0f\t%s for the service and each caller\n",
		capacity.Edits, rounded(c.Render+capacity.Push))
	return t.Flush()
}

func mebibytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
