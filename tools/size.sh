#!/bin/sh
# Fails when meshc, built as for its image, has more bytes than people should have to pull. What has become large is
# found by "go tool nm -size -sort size" of a binary that is not stripped.
set -eu
cd "$(dirname "$0")/.."
most=85000000
mkdir -p bin
# With cgo the symbols of every package stay in it, for a library that could load plugins.
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/stripped ./cmd/meshc
size=$(wc -c <bin/stripped)
rm bin/stripped
[ "$size" -le "$most" ] || { echo "size: meshc has $size bytes stripped, and may have $most" >&2; exit 1; }
