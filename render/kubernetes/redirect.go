package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// redirectArgs have meshc redirect a pod's connections to its proxy.
func redirectArgs(p *ir.Proxy) []string {
	args := []string{
		"redirect",
		fmt.Sprintf("--inbound-port=%d", p.InboundPort),
		fmt.Sprintf("--outbound-port=%d", p.OutboundPort),
		fmt.Sprintf("--proxy-user=%d", proxyUser),
		"--pod-ip=$(POD_IP)", "--host-ip=$(HOST_IP)",
	}
	args = appendList(args, "exclude-inbound-ports", append(slices.Clone(p.ExcludeInboundPorts), p.HealthPort))
	args = appendList(args, "exclude-outbound-ports", p.ExcludeOutboundPorts)
	return appendList(args, "exclude-outbound-ranges", p.ExcludeOutboundRanges)
}

func appendList[T any](args []string, flag string, list []T) []string {
	if len(list) == 0 {
		return args
	}
	words := make([]string, 0, len(list))
	for _, v := range list {
		words = append(words, fmt.Sprint(v))
	}
	return append(args, "--"+flag+"="+strings.Join(words, ","))
}
