package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
)

// patience is how long anything may take before the run is given up.
const patience = 2 * time.Minute

// events are the changes that callers have not all acknowledged yet.
type events struct {
	mu      sync.Mutex
	began   map[int]time.Time
	service map[int]string
	waiting map[int]int    // callers, by event
	callers map[string]int // connected proxies that call a service and acknowledge
	last    map[string]int // event of a service
	took    []time.Duration
}

func newEvents() *events {
	return &events{
		began: map[int]time.Time{}, service: map[int]string{}, waiting: map[int]int{}, callers: map[string]int{},
		last: map[string]int{},
	}
}

func (e *events) begin(n int, service string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.began[n], e.service[n], e.waiting[n], e.last[service] = time.Now(), service, e.callers[service], n
}

// acknowledged says that a proxy has the events of a service up to that one, and had them up to another.
func (e *events) acknowledged(p *loadProxy, service string, had, has int, at time.Time) {
	if p.silent {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for n, began := range e.began {
		if e.service[n] != service || n <= had || n > has {
			continue
		}
		if e.waiting[n]--; e.waiting[n] == 0 {
			e.took = append(e.took, at.Sub(began))
			delete(e.began, n)
			delete(e.service, n)
			delete(e.waiting, n)
		}
	}
}

// latency waits until nothing is under way, and returns the quantiles since the last call.
func (e *events) latency() (Latency, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		e.mu.Lock()
		if len(e.began) == 0 {
			defer e.mu.Unlock()
			took := e.took
			e.took = nil
			return quantiles(took), nil
		}
		rest := len(e.began)
		e.mu.Unlock()
		if time.Now().After(deadline) {
			return Latency{}, fmt.Errorf("%d events were never acknowledged by all callers", rest)
		}
	}
}

func quantiles(took []time.Duration) Latency {
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
	}
	return Latency{at(0.5), at(0.99), at(1)}
}

// serveProcess is the server's process, as the load generator talks to it.
type serveProcess struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	started usage
}

func startServe(caDir, mesh string) (*serveProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &serveProcess{cmd: exec.Command(self, "serve-child", caDir, mesh)} // #nosec G204 -- this program itself
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.out = bufio.NewScanner(out)
	s.started, err = s.read()
	return s, err
}

func (s *serveProcess) read() (u usage, err error) {
	if !s.out.Scan() {
		return u, errors.Join(errors.New("the server has ended"), s.out.Err())
	}
	return u, json.Unmarshal(s.out.Bytes(), &u)
}

func (s *serveProcess) send(c command) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = s.in.Write(append(line, '\n'))
	return err
}

func (s *serveProcess) usage() (usage, error) {
	if err := s.send(command{Usage: true}); err != nil {
		return usage{}, err
	}
	return s.read()
}

func (s *serveProcess) stop() error { return errors.Join(s.in.Close(), s.cmd.Wait()) }

// load is a server with its proxies.
type load struct {
	o         *serveOptions
	server    *serveProcess
	authority *ca.Authority
	services  int
	proxies   []*loadProxy
	events    *events
	row       ServeRow
	event     int
}

func measureServe(o *serveOptions, caDir, mesh string, services int) (row *ServeRow, err error) {
	authority, err := ca.Open(caDir, secret.Value{})
	if err != nil {
		return nil, err
	}
	server, err := startServe(caDir, mesh)
	if err != nil {
		return nil, err
	}
	l := &load{o: o, server: server, authority: authority, services: services, events: newEvents()}
	l.row = ServeRow{
		Services: services, Proxies: o.proxies, Rate: o.rate, Edits: o.edits, Start: mebibytes(server.started.Heap),
	}
	defer func() {
		for _, p := range l.proxies {
			p.close()
		}
		err = errors.Join(err, server.stop())
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, step := range []func(context.Context) error{l.handshakes, l.connect, l.single, l.busy} {
		if err := step(ctx); err != nil {
			return nil, err
		}
		if err := l.ended(); err != nil {
			return nil, err
		}
	}
	if err := l.edits(mesh); err != nil {
		return nil, err
	}
	last, err := server.usage()
	l.row.Resident = mebibytes(last.RSS)
	return &l.row, errors.Join(err, l.ended())
}

func mebibytes(n uint64) float64 { return float64(n) / (1 << 20) }

// ended is why a stream ended, if one did.
func (l *load) ended() error {
	for _, p := range l.proxies {
		select {
		case err := <-p.done:
			return err
		default:
		}
	}
	return nil
}

// credentials are those of a proxy of the service.
func (l *load) credentials(service string) (*tls.Config, error) {
	id, err := spiffeid.FromString("spiffe://bench.example/ns/" + benchNamespace + "/sa/" + service)
	if err != nil {
		return nil, err
	}
	own, err := l.authority.Certificate(id, time.Hour)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		RootCAs: l.authority.Pool(), ServerName: "127.0.0.1", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13,
		Certificates: []tls.Certificate{*own},
	}, nil
}

// cpu is what the server uses while something is done.
func (l *load) cpu(do func() error) (seconds float64, after usage, err error) {
	before, err := l.server.usage()
	if err != nil {
		return 0, before, err
	}
	start, err := l.server.usage() // the first collected garbage
	if err != nil {
		return 0, start, err
	}
	if err := do(); err != nil {
		return 0, start, err
	}
	after, err = l.server.usage()
	return after.CPU - start.CPU, after, err
}

func (l *load) handshakes(context.Context) error {
	config, err := l.credentials(serviceName(0))
	if err != nil {
		return err
	}
	seconds, _, err := l.cpu(func() error {
		for range l.o.handshakes {
			conn, err := tls.Dial("tcp", l.server.started.Bare, config)
			if err != nil {
				return err
			}
			_, err = io.ReadFull(conn, make([]byte, 1))
			if err := errors.Join(err, conn.Close()); err != nil {
				return err
			}
		}
		return nil
	})
	l.row.Handshake = 1000 * seconds / float64(l.o.handshakes)
	return err
}

// connect lets all proxies connect at once.
func (l *load) connect(ctx context.Context) error {
	configs := make([]*tls.Config, l.o.proxies+l.o.slow)
	for i := range configs {
		var err error
		if configs[i], err = l.credentials(serviceName(i % l.services)); err != nil {
			return err
		}
	}
	seconds, after, err := l.cpu(func() error {
		start := time.Now()
		for i := range l.o.proxies {
			if err := l.add(ctx, configs[i], i, false); err != nil {
				return err
			}
		}
		for _, p := range l.proxies {
			select {
			case <-p.complete:
			case err := <-p.done:
				return err
			case <-time.After(patience):
				return fmt.Errorf("the proxy of %s does not get %v", p.service, p.lacks())
			}
		}
		l.row.ConnectWall = time.Since(start).Seconds()
		return nil
	})
	if err != nil {
		return err
	}
	sent := 0
	for _, p := range l.proxies {
		bytes, _ := p.counted()
		sent += bytes
	}
	l.row.Connect, l.row.Connected = 1000*seconds/float64(l.o.proxies), mebibytes(after.Heap)
	l.row.Bytes = float64(sent) / float64(len(l.proxies))
	for i := range l.o.slow {
		if err := l.add(ctx, configs[l.o.proxies+i], l.o.proxies+i, true); err != nil {
			return err
		}
	}
	return nil
}

// add connects proxy i. Several of one service have the node ID of it and another instance.
func (l *load) add(ctx context.Context, config *tls.Config, i int, silent bool) error {
	p, err := connectProxy(ctx, l.server.started.Serve, config, serviceName(i%l.services), i/l.services, silent,
		l.events)
	if err != nil {
		return err
	}
	l.proxies = append(l.proxies, p)
	if !silent {
		for _, step := range callSteps {
			l.events.callers[serviceName((i+step)%l.services)]++
		}
	}
	return nil
}

// change changes the pods of a service that a connected proxy calls.
func (l *load) change() error {
	l.event++
	at := rand.IntN(min(l.o.proxies, l.services)) + callSteps[rand.IntN(len(callSteps))] // #nosec G404 -- a load
	service := serviceName(at % l.services)
	l.events.begin(l.event, service)
	return l.server.send(command{Pods: service, Event: l.event})
}

// single changes pods, one service after the other.
func (l *load) single(context.Context) (err error) {
	for range l.o.events {
		if err := l.change(); err != nil {
			return err
		}
		time.Sleep(l.o.apart)
	}
	l.row.Idle, err = l.events.latency()
	return err
}

// busy changes pods at the given rate.
func (l *load) busy(context.Context) error {
	before := l.pushes()
	count := int(l.o.eventsOf.Seconds() * float64(l.o.rate))
	start := time.Now()
	seconds, after, err := l.cpu(func() (err error) {
		start = time.Now()
		for i := range count {
			due := start.Add(time.Duration(i) * time.Second / time.Duration(l.o.rate))
			time.Sleep(time.Until(due))
			if err := l.change(); err != nil {
				return err
			}
		}
		l.row.Busy, err = l.events.latency()
		return err
	})
	wall := time.Since(start).Seconds()
	l.row.EventCPU, l.row.AfterEvents = 1000*seconds/float64(count), mebibytes(after.Heap)
	pushes := float64(l.pushes() - before)
	l.row.Pushes, l.row.PushCPU = pushes/float64(len(l.proxies))/wall, 1000*seconds/pushes
	return err
}

func (l *load) pushes() (sum int) {
	for _, p := range l.proxies {
		_, pushes := p.counted()
		sum += pushes
	}
	return sum
}
