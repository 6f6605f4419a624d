package app

import (
	"bufio"
	"context"
	"fmt"
	"net"
)

// echo answers each line of a connection with "SERVICE VERSION: " and the line.
func (a *App) echo(p Port, l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	a.closers = append(a.closers, cancel)
	a.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			stop := context.AfterFunc(ctx, func() { c.Close() })
			a.done.Go(func() {
				defer c.Close()
				defer stop()
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					a.requests.add(Report{Service: a.service, Version: a.version, Port: p.Name, Protocol: "TCP"})
					if _, err := fmt.Fprintf(c, "%s %s: %s\n", a.service, a.version, lines.Text()); err != nil {
						return
					}
				}
			})
		}
	})
}
