package link

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// freePorts are ports of a member's host that nothing of the member has yet. A hint names one of them, and each hint
// another, so that all of them can be followed.
type freePorts struct{ taken map[uint16]bool }

// free are the ports that are left by a member's proxy, its application and its calls.
func free(proxy *ir.Proxy, application []ir.Port, calls map[string]*spec.Use) *freePorts {
	f := &freePorts{taken: map[uint16]bool{0: true}}
	for _, number := range proxy.Ports() {
		f.taken[number] = true
	}
	for _, p := range application {
		f.taken[p.Number], f.taken[p.Target] = true, true
	}
	for _, use := range calls {
		for _, written := range use.Binds {
			f.bound(written.Value)
		}
		f.bound(use.Bind.Value)
	}
	return f
}

func (f *freePorts) bound(written string) {
	if addr, err := netip.ParseAddrPort(written); err == nil {
		f.taken[addr.Port()] = true
	}
}

// firstBind is where the addresses begin that hints give to calls.
const firstBind = 9101

// port is the first free one from there on, which is taken then.
func (f *freePorts) port(from uint16) uint16 {
	for f.taken[from] {
		from++
	}
	f.taken[from] = true
	return from
}

// address is one on loopback for a call.
func (f *freePorts) address() string { return fmt.Sprintf("127.0.0.1:%d", f.port(firstBind)) }

// uses is what gives calls of those ports of a callee addresses of their own: uses: cart: bind: "127.0.0.1:9101".
func (f *freePorts) uses(use *ir.Use, ports ...string) string {
	if len(use.Ports) == 1 {
		return fmt.Sprintf("uses: %q: bind: %q", use.To, f.address())
	}
	var binds []string
	for _, name := range ports {
		binds = append(binds, fmt.Sprintf("%q: %q", name, f.address()))
	}
	return fmt.Sprintf("uses: %q: binds: {%s}", use.To, strings.Join(binds, ", "))
}
