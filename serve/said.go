package serve

import (
	"fmt"
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
	names map[string]map[string]struct{} // by type
	bytes int
}

// forget removes the names of a type, before a request that lists all of them.
func (s *subscribed) forget(url string) {
	of, known := s.names[url]
	if !known {
		return
	}
	for name := range of {
		s.bytes -= nameSize(url, name)
	}
	s.bytes -= nameSize(url, "")
	delete(s.names, url)
}

// nameSize is what a name counts. The type counts with each, in place of the memory that a name takes besides its text.
func nameSize(url, name string) int { return len(url) + len(name) + 1 }

// take counts the resources that a request subscribes to and unsubscribes from, and reports whether the number is
// within the limit.
func (s *subscribed) take(url string, more, fewer []string) bool {
	of := s.names[url]
	for _, name := range fewer {
		if _, known := of[name]; known {
			delete(of, name)
			s.bytes -= nameSize(url, name)
		}
	}
	if of == nil {
		if s.names == nil {
			s.names = map[string]map[string]struct{}{}
		}
		of = map[string]struct{}{}
		s.names[url] = of
		s.bytes += nameSize(url, "") // a type takes memory even when nothing of it is asked for
	}
	for _, name := range more {
		if _, known := of[name]; known {
			continue
		}
		if s.bytes += nameSize(url, name); s.bytes > maxNames {
			return false
		}
		of[name] = struct{}{}
	}
	return s.bytes <= maxNames
}
