package local

import (
	"fmt"
	"net"
	"net/netip"
)

// Loopback is a block of loopback addresses, 127.N.0.0/16, that no other mesh
// on this machine has. Each instance of a mesh gets an address of its own out
// of it, so that its proxy may listen on the ports that it would have on a host
// of its own.
type Loopback struct {
	lock net.Listener
	n    byte
	last uint16
}

// The first block, and how many there are. 127.0.0.0/16 is everybody's, and
// 127.0.0.53 systemd-resolved's.
const (
	firstBlock = 64
	lastBlock  = 254
)

// Reserve takes the first free block. It is free again after Close, or when the
// process ends, in whatever way: the lock is a socket in Linux's abstract
// namespace, which goes with the process and is told apart by network
// namespace, as loopback addresses are.
func Reserve() (*Loopback, error) {
	for n := firstBlock; n <= lastBlock; n++ {
		lock, err := net.Listen("unix", fmt.Sprintf("@meshc/127.%d.0.0", n))
		if err != nil {
			continue // another mesh has it
		}
		l := &Loopback{lock: lock, n: byte(n)}
		l.Next() // meshc serve's
		return l, nil
	}
	return nil, fmt.Errorf("every block of loopback addresses from 127.%d.0.0/16 to 127.%d.0.0/16 is taken by another mesh", firstBlock, lastBlock)
}

// Close gives the block back.
func (l *Loopback) Close() error { return l.lock.Close() }

// Server is the address of meshc serve, the first of the block.
func (l *Loopback) Server() string { return l.address(1) }

// Next is an address that was not given yet.
func (l *Loopback) Next() string {
	l.last++
	return l.address(l.last)
}

func (l *Loopback) address(i uint16) string {
	return netip.AddrFrom4([4]byte{127, l.n, byte(i >> 8), byte(i)}).String()
}

// privileged is the first port that every user may listen on.
const privileged = 1024

// ephemeral is where Linux begins to give connections ports of its own choice:
// from there on a port that is free now may be another's in a moment.
const ephemeral = 32768

// Port is a port on which nothing listens at the address: the wanted one where
// that can be had, one 10,000 or 20,000 higher, or the next from 20,000 on. Below
// 1024, 8000 is added first: 80 becomes 8080.
func (l *Loopback) Port(address string, wanted uint16, taken map[uint16]bool) (uint16, error) {
	if wanted < privileged {
		wanted += 8000
	}
	candidates := []int{int(wanted), int(wanted) + 10000, int(wanted) + 20000}
	for port := 20000 + len(taken); port < ephemeral; port++ {
		candidates = append(candidates, port)
	}
	for _, port := range candidates {
		if port > 65535 || taken[uint16(port)] {
			continue
		}
		// Something may listen on all addresses of the machine.
		probe, err := net.Listen("tcp", join(address, uint16(port)))
		if err != nil {
			continue
		}
		if err := probe.Close(); err != nil {
			return 0, err
		}
		taken[uint16(port)] = true
		return uint16(port), nil
	}
	return 0, fmt.Errorf("no free port at %s", address)
}
