package link

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// forbiddenHosts are names of what [ir.ForbiddenNetworks] has, and of those whose interfaces
// rule a cluster.
var forbiddenHosts = map[string]string{
	"localhost": ownHost, "localhost.localdomain": ownHost, "loopback": ownHost, "ip6-localhost": ownHost,
	"ip6-loopback": ownHost,
	"localhost4":   ownHost, "localhost4.localdomain4": ownHost, "localhost6": ownHost,
	"localhost6.localdomain6": ownHost,
	"metadata":                cloudMetadata, "metadata.google.internal": cloudMetadata, "metadata.goog": cloudMetadata,
	"instance-data": cloudMetadata, "instance-data.ec2.internal": cloudMetadata,
	"metadata.azure.internal": cloudMetadata, "metadata.tencentyun.com": cloudMetadata,
	"kubernetes": apiServer, "kubernetes.default": apiServer, "kubernetes.default.svc": apiServer,
}

const (
	ownHost       = "is the proxy's own host"
	cloudMetadata = "is the instance metadata service of a cloud"
	apiServer     = "is the API server"
)

// notForbidden refuses a host, a name or an address, to which no member's proxy may be led.
// What a DNS server answers is not known here. Where the spec says local, loopback is meant.
func (l *linker) notForbidden(here place, host string, local bool, pos source.Position) {
	if what := l.forbidden(host); what != "" && (!local || !isLoopback(host)) {
		l.add(diag.ForbiddenAddress, here, fmt.Sprintf("%s %s: a proxy would connect to it on behalf of its callers",
			host, what), pos).
			hint("name another host; an application reaches what runs on loopback without the proxy")
	}
}

// localTakesEffect reports a local that allows nothing, as all of the hosts are addresses and none is
// loopback. A name may lead anywhere.
func (l *linker) localTakesEffect(here place, local spec.Field[bool], hosts []string) {
	allows := func(host string) bool {
		network, known := ir.ParseHost(host)
		return !known || network.Addr().IsLoopback()
	}
	if local.Value && !slices.ContainsFunc(hosts, allows) {
		l.add(diag.NoEffect, here.field("local"), "local cannot take effect: "+strings.Join(hosts, ", ")+
			" is not loopback", here.pos(local.Pos)).
			hint("remove it")
	}
}

// isLoopback reports whether a host, a name or an address, is loopback.
func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// forbidden says what a host is to which no proxy may be led; empty for any other.
func (l *linker) forbidden(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ir.ForbiddenAddress(ip, false)
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; last != "" && (strings.Trim(last, "0123456789") == "" ||
		strings.HasPrefix(last, "0x")) {
		return "is an address in a form that resolvers read differently"
	}
	host = strings.TrimSuffix(host, "."+l.mesh.DNSDomain())
	if strings.HasSuffix(host, ".localhost") {
		return ownHost
	}
	if what := forbiddenHosts[host]; what != "" {
		return what
	}
	for _, own := range []string{"", ".svc"} {
		if system := l.mesh.SystemNamespace() + own; strings.HasSuffix(host, "."+system) {
			return "is in the namespace of the control plane"
		}
	}
	return ""
}
