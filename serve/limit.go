package serve

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Limits on what one connection may ask of the server. A proxy that has its hands full
// sends some tens of messages, and hundreds when it starts.
const (
	messagesPerSecond = 200
	messagesAtOnce    = 2000
	streamsPerSecond  = 5
	streamsAtOnce     = 2 * maxStreams
)

// connectionLimits limit the requests of each connection; only the client that exceeds them is disconnected.
type connectionLimits struct {
	mu          sync.Mutex
	connections map[string]*connectionLimit // by the client's address
}

type connectionLimit struct {
	messages, streams *rate.Limiter
	open              int
}

func newConnectionLimits() *connectionLimits {
	return &connectionLimits{connections: map[string]*connectionLimit{}}
}

// enter must be called when a stream opens, and the returned function leave when it ends.
func (l *connectionLimits) enter(address string) (limit *connectionLimit, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit = l.connections[address]
	if limit == nil {
		limit = &connectionLimit{
			messages: rate.NewLimiter(messagesPerSecond, messagesAtOnce), streams: rate.NewLimiter(streamsPerSecond,
				streamsAtOnce),
		}
		l.connections[address] = limit
	}
	limit.open++
	return limit, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		limit.open--
	}
}

// forget removes connections without streams whose bucket is full again. So a client cannot reset its limit by
// closing all its streams.
func (l *connectionLimits) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for address, limit := range l.connections {
		if limit.open == 0 && limit.streams.Tokens() >= streamsAtOnce-1 {
			delete(l.connections, address)
		}
	}
}

// intercept bounds a stream.
func (s *Server) intercept(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo,
	handler grpc.StreamHandler,
) error {
	p, ok := peer.FromContext(stream.Context())
	if !ok {
		return status.Error(codes.Unauthenticated, "no peer")
	}
	limit, leave := s.limits.enter(p.Addr.String())
	defer leave()
	if !limit.streams.Allow() {
		s.metrics.limited.Inc()
		return status.Error(codes.ResourceExhausted, "too many streams")
	}
	bounded := &boundedStream{ServerStream: stream, limit: limit}
	err := handler(srv, bounded)
	if bounded.flooded.Load() {
		s.metrics.limited.Inc()
		return errFlooded
	}
	return err
}

var errFlooded = status.Error(codes.ResourceExhausted, "too many messages")

// boundedStream bounds the messages of a stream.
type boundedStream struct {
	grpc.ServerStream
	limit   *connectionLimit
	flooded atomic.Bool
}

// RecvMsg returns an error if the client sends more messages than the limit allows.
func (b *boundedStream) RecvMsg(m any) error {
	if err := b.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if !b.limit.messages.Allow() {
		b.flooded.Store(true)
		return errFlooded
	}
	return nil
}

// lookAfter does periodic work: it continues with proxies that had nothing to acknowledge, forgets records that are
// no longer needed, removes expired rules, and gives memory back.
func (s *Server) lookAfter(ctx context.Context) {
	tick, stage := time.NewTicker(time.Second), time.NewTicker(stageRest/2)
	defer tick.Stop()
	defer stage.Stop()
	var held memory
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-stage.C:
			s.staging.advanceWhenTaken(now)
		case now := <-tick.C:
			s.proxies.settleAll()
			s.limits.forget()
			s.quotas.forget(s.log)
			s.holders.forget(now)
			s.endRules(now)
			s.reports.forget(now)
			held.look(now)
		}
	}
}
