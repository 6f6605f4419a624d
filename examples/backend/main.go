// Command backend is the application of the examples: see package app for what
// a request can ask of it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/meshc/meshc/host/app"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

// call makes the calls of a chain.
func call(c app.Config, chain string) error {
	caller := app.NewCaller(c.Upstreams, c.Roots)
	defer caller.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	made := caller.Call(ctx, chain, nil)
	if made.Error != "" {
		return errors.New(made.Error)
	}
	return json.NewEncoder(os.Stdout).Encode(made)
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
	flag.Func("upstream", "upstream to call, SERVICE.PORT=PROTOCOL:ADDRESS of its bind; may be given again",
		func(s string) error {
			u, err := app.ParseUpstream(s)
			c.Upstreams = append(c.Upstreams, u)
			return err
		})
	chain := flag.String("call", "",
		"chain of calls to make, STEP,STEP,…, instead of listening: it prints the first one's report and ends")
	flag.Parse()
	if *chain != "" {
		return call(c, *chain)
	}
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
