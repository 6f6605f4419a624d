#!/bin/sh
# Builds the pinned OpenTelemetry Collector (tools/collector), which tests of make e2e run, into .tools/collector;
# does nothing when it is there.
set -eu
cd "$(dirname "$0")/.."

sum=$(cat tools/collector/go.sum tools/collector/main.go | cksum)
if [ -x .tools/collector ] && [ "$(cat .tools/collector.sum 2>/dev/null)" = "$sum" ]; then
	exit 0
fi
mkdir -p .tools
go build -C tools/collector -o ../../.tools/collector .
echo "$sum" >.tools/collector.sum
