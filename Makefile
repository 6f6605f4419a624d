# The whole project: make up to see it run, make test to know that it works.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LINT := go tool -modfile=tools/lint/go.mod

.PHONY: all build tools up test inotify lint e2e soak race bench clean

all: build

# bin/meshc
build:
	go build -trimpath -ldflags "-X main.release=$(VERSION)" -o bin/meshc ./cmd/meshc

# .tools/envoy, unless $$ENVOY names another, and .tools/ratelimit
tools:
	@tools/ratelimit.sh
	@if [ -n "$$ENVOY" ]; then test -x "$$ENVOY" || { echo "tools: ENVOY=$$ENVOY is no program" >&2; exit 1; }; else tools/envoy.sh; fi

# the example mesh on loopback, until Ctrl-C
up: build tools
	cd examples/shop && exec ../../bin/meshc up

# everything, real Envoys included
test: build tools lint inotify
	go test ./...

# what so many Envoys at once need of Linux
inotify:
	@tools/inotify.sh

lint:
	go mod tidy -diff
	go vet ./...
	@unformatted=$$($(LINT) gofumpt -l $(wildcard */)) || exit 1; \
		if [ -n "$$unformatted" ]; then echo "lint: not formatted by gofumpt:" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(LINT) staticcheck ./...

# what needs root: hosts that are network namespaces
e2e: build tools
	go vet -tags e2e ./...
	go test -tags e2e -run '^(TestRedirect|TestInboundPorts)$$' ./serve/redirect

# what takes long: as many random specs as a night has time for
soak: build tools inotify
	MESHC_RANDOM_SPECS=2000 go test -timeout 60m -count 1 -run RandomSpecs -v ./render

# the race detector where goroutines meet
race: tools inotify
	go test -race ./serve/... ./examples/...

# compilation next to "cue export": bench/bench.txt and bench/bench.json
bench: build
	go build -o bin/cue cuelang.org/go/cmd/cue
	go run ./compiler/bench

clean:
	rm -rf bin out bench
