#!/bin/sh
# Builds the pinned rate limit service (tools/ratelimit/go.mod), which tests run,
# into .tools/ratelimit; does nothing when it is there.
set -eu
cd "$(dirname "$0")/.."

if [ -x .tools/ratelimit ] && cmp -s tools/ratelimit/go.sum .tools/ratelimit.sum; then
	exit 0
fi
mkdir -p .tools
go build -C tools/ratelimit -o ../../.tools/ratelimit github.com/envoyproxy/ratelimit/src/service_cmd
cp tools/ratelimit/go.sum .tools/ratelimit.sum
