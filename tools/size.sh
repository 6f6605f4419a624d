#!/bin/sh
# Fails when meshc, built as for its image, has more bytes than people should have to pull. What has become large is
# found by "go tool nm -size -sort size" of a binary that is not stripped.
set -eu
cd "$(dirname "$0")/.."
most=100000000
mkdir -p bin
go build -ldflags "-s -w" -o bin/stripped ./cmd/meshc
size=$(wc -c <bin/stripped)
rm bin/stripped
[ "$size" -le "$most" ] || { echo "size: meshc has $size bytes stripped, and may have $most" >&2; exit 1; }
