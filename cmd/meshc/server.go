package main

import (
	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/host/local"
)

// usualServer is the admin address of a meshc serve that was told no other.
const usualServer = "127.0.0.1:15011"

// addServer adds the flag of a command that asks a meshc serve at its admin address.
func addServer(cmd *cobra.Command, server *string) {
	cmd.Flags().StringVar(server, "server", usualServer,
		"admin address of meshc serve; without the flag that of the meshc up of this spec, where one runs")
	findServer(cmd, func(found string) { *server = found })
}

// addServers is addServer of a command that asks several.
func addServers(cmd *cobra.Command, servers *[]string) {
	cmd.Flags().StringSliceVar(servers, "server", []string{usualServer},
		"admin addresses of all meshc serve; without the flag that of the meshc up of this spec, where one runs")
	findServer(cmd, func(found string) { *servers = []string{found} })
}

// findServer has the command ask the mesh that meshc up runs of the spec in the working directory, where no server is
// named.
func findServer(cmd *cobra.Command, use func(server string)) {
	cmd.PreRun = func(cmd *cobra.Command, _ []string) {
		if cmd.Flags().Changed("server") {
			return
		}
		if spec, found := load.Root("."); found {
			if server := local.ServerOf(actual(spec)); server != "" {
				use(server)
			}
		}
	}
}
