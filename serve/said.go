package serve

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
)

// Limits on what a proxy says of itself and of what it wants, in bytes. Envoy names some hundred extensions.
const (
	maxNode      = 512 << 10
	maxNodeID    = 512
	maxUserAgent = 128
	maxNames     = 1 << 20 // of the resources that a stream asks for
)

// boundedNode refuses a node whose description is too large, or whose ID cannot be written to a log.
func boundedNode(n *corev3.Node) error {
	if size := proto.Size(n); size > maxNode {
		return fmt.Errorf("the node is described by %d bytes, and at most %d are read", size, maxNode)
	}
	id := n.GetId()
	if len(id) > maxNodeID {
		return fmt.Errorf("the node id has %d bytes, and at most %d are read", len(id), maxNodeID)
	}
	if strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return fmt.Errorf("the node id %q is not printable text", id)
	}
	return nil
}

// subscribed are the names of the resources that a stream has subscribed to.
type subscribed struct {
	names map[string]bool // "TYPE NAME"
	bytes int
}

// forget removes the names of a type, before a request that lists all of them.
func (s *subscribed) forget(url string) {
	for key := range s.names {
		if strings.HasPrefix(key, url+" ") {
			delete(s.names, key)
			s.bytes -= len(key)
		}
	}
}

// take counts the resources that a request subscribes to and unsubscribes from, and reports whether the number is
// within the limit.
func (s *subscribed) take(url string, more, fewer []string) bool {
	for _, name := range fewer {
		if key := url + " " + name; s.names[key] {
			delete(s.names, key)
			s.bytes -= len(key)
		}
	}
	for _, name := range slices.Concat(more, []string{""}) { // a type takes memory even when nothing of it is asked for
		key := url + " " + name
		if s.names[key] {
			continue
		}
		if s.bytes += len(key); s.bytes > maxNames {
			return false
		}
		if s.names == nil {
			s.names = map[string]bool{}
		}
		s.names[key] = true
	}
	return true
}
