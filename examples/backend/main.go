// Command backend is the application of the examples: see package app for what
// a request can ask of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshc/meshc/examples/backend/app"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

func run() error {
	var c app.Config
	flag.StringVar(&c.Service, "service", os.Getenv("SERVICE"), "name that it reports ($SERVICE)")
	flag.StringVar(&c.Version, "version", os.Getenv("VERSION"), "version that it reports ($VERSION)")
	flag.Func("listen", "port to listen on, NAME=PROTOCOL:ADDRESS; may be given again", func(s string) error {
		p, err := app.ParsePort(s)
		c.Ports = append(c.Ports, p)
		return err
	})
	flag.Func("upstream", "upstream to call, SERVICE.PORT=PROTOCOL:ADDRESS of its bind; may be given again", func(s string) error {
		u, err := app.ParseUpstream(s)
		c.Upstreams = append(c.Upstreams, u)
		return err
	})
	flag.Parse()
	a, err := app.Start(c)
	if err != nil {
		return err
	}
	for _, p := range c.Ports {
		fmt.Printf("%s listens on %s\n", p.Name, a.Address(p.Name))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	a.Close()
	return nil
}
