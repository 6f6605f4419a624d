package review

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// endsOf is which proxy ends requests of a call, and when. The caller's does: the callee's, and an egress gateway on
// the way, bound nothing of their own.
func endsOf(c *ir.Call) string {
	p := &c.Policy
	status := "with 504"
	if c.Port.Protocol == ir.GRPC {
		status = "with DEADLINE_EXCEEDED"
	}
	var when []string
	timeout, perTry := p.Timeout.Value, p.PerTryTimeout.Value
	switch {
	case !timeout.Bounds():
	case c.Port.Protocol == ir.GRPC:
		when = append(when, fmt.Sprintf("%s when it has taken %s", status, timeout))
	default:
		when = append(when, fmt.Sprintf("%s when its answer has not ended %s after the request", status, timeout))
	}
	if perTry.Bounds() && (!timeout.Bounds() || perTry < timeout) {
		when = append(when, fmt.Sprintf("%s when the answer of a try has not begun %s after the request", status,
			perTry))
	}
	idle := p.IdleTimeout.Value
	if idle == 0 {
		idle = ir.DefaultIdle
		if c.Caller.Kind == ir.KindGateway {
			idle = ir.DefaultEdgeIdle
		}
	}
	if idle.Bounds() {
		when = append(when, fmt.Sprintf("when nothing moves for %s", idle))
	}
	who := "the proxy of " + c.Caller.Ref().String()
	if len(when) == 0 {
		return who + " ends no request for the time that it takes"
	}
	return who + " ends a request " + strings.Join(when, ", or ")
}
