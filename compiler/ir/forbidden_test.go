package ir

import (
	"net/netip"
	"testing"
)

// TestForbiddenAddress: an address is judged as what it leads to, in whatever form it stands for one of IPv4.
func TestForbiddenAddress(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": isLoopback, "::1": isLoopback, "::ffff:127.0.0.1": isLoopback, "fe80::1%eth0": "is link-local",
		"::7f00:1": isLoopback, "::ffff:0:7f00:1": isLoopback, "64:ff9b::7f00:1": isLoopback,
		"64:ff9b:1:2:3:4:7f00:1": isLoopback, "2002:7f00:1::5": isLoopback, "2001:0:1:2:3:4:80ff:fffe": isLoopback,
		"2001:db8::5efe:7f00:1": isLoopback, "2001:db8::200:5efe:7f00:1": isLoopback,
		"64:ff9b::6464:64c8": isCloud, "2002:a83f:8110::": isCloud, "2001::3fff:ff3f": isCloud,
		"64:ff9b::a00:1": "", "64:ff9b:2::7f00:1": "", "2002:a00:1::1": "", "2001:db8::400:5efe:7f00:1": "",
		"2001:db8::7f00:1": "", "10.0.0.1": "", "2001::80ff:fffe": isLoopback, "2001:1::80ff:fffe": "",
	} {
		if got := ForbiddenAddress(netip.MustParseAddr(text), false); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for text, forbidden := range map[string]bool{
		"127.0.0.1": false, "::1": false, "::": true, "0.0.0.0": true, "64:ff9b::7f00:1": true, "169.254.1.1": true,
	} {
		if got := ForbiddenAddress(netip.MustParseAddr(text), true) != ""; got != forbidden {
			t.Errorf("local, %s: %t", text, got)
		}
	}
}

// TestForbiddenRanges: who knows no masks refuses all that is forbidden, but for ISATAP and what NAT64 of a network's
// own has before an address of IPv4; and nothing else that is of use.
func TestForbiddenRanges(t *testing.T) {
	forbidden := func(text string) bool {
		for _, network := range ForbiddenRanges() {
			if network.Contains(netip.MustParseAddr(text)) {
				return true
			}
		}
		return false
	}
	for text, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "::": true, "169.254.169.254": true, "fe80::1": true, "fd00:ec2::1": true,
		"::a9fe:a9fe": true, "::ffff:0:a9fe:a9fe": true, "64:ff9b::a9fe:a9fe": true, "64:ff9b:1::a9fe:a9fe": true,
		"64:ff9b::6464:64c8": true, "64:ff9b::e000:1": true, "64:ff9b::1": true,
		"2002:a9fe:a9fe::1": true, "2001:0:1::5601:5601": true,
		"2001:db8::1": false, "64:ff9b::a00:1": false, "64:ff9b:1::a00:1": false, "10.0.0.1": false, "fd12::1": false,
		"2001:db8::5efe:a9fe:a9fe": false, "64:ff9b:1:2::a9fe:a9fe": false,
	} {
		if got := forbidden(text); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
