//go:build !linux

package redirect

import "errors"

var errLinux = errors.New("redirection needs nftables, which only Linux has")

// Apply always returns an error, because only Linux has nftables.
func Apply(Rules) error { return errLinux }

// Remove always returns an error, because only Linux has nftables.
func Remove() error { return errLinux }
