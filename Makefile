# The whole project: make up to see it run, make test to know that it works.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# the Envoy of tests and of make up: $$ENVOY, else the one that make tools puts here
WITH_ENVOY := ENVOY="$${ENVOY:-$(CURDIR)/.tools/envoy}"
LINT := go tool -modfile=tools/lint/go.mod

.PHONY: all build tools images up test conformance packages inotify lint format security e2e soak fuzz race bench bench-serve clean

# how long each target of fuzz runs
FUZZTIME ?= 60s

all: build

# bin/meshc
build:
	go build -trimpath -ldflags "-X main.release=$(VERSION)" -o bin/meshc ./cmd/meshc

# .tools/envoy, unless $$ENVOY names another, and .tools/ratelimit
tools:
	@tools/ratelimit.sh
	@if [ -n "$$ENVOY" ]; then test -x "$$ENVOY" || { echo "tools: ENVOY=$$ENVOY is no program" >&2; exit 1; }; else tools/envoy.sh; fi

# the container images of meshc and of Envoy, as an archive that can be imported where
# there is no registry (ctr, docker, podman, kind), or REGISTRY=… to push them there;
# their references by digest are for mesh.images
images: tools
	@mkdir -p bin/image
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=$(VERSION)" -o bin/image/meshc ./cmd/meshc
	@go run ./tools/images -o bin/images.tar $(if $(REGISTRY),-push $(REGISTRY)) \
		ghcr.io/meshc/meshc:$(VERSION)=bin/image/meshc,user=65532 \
		ghcr.io/meshc/envoy:$(VERSION)=$(or $(ENVOY),.tools/envoy),user=1337,libraries

# the example mesh on loopback, until Ctrl-C
up: build tools
	cd examples/shop && $(WITH_ENVOY) exec ../../bin/meshc up

# everything, real Envoys included. What is compiled for tests is vetted by go test, so that nothing is
# compiled and looked at twice; without DWARF, which no test reads
test: packages tools format inotify
	$(WITH_ENVOY) go test -vet=all -ldflags=-w -timeout 30m -parallel 4 ./...

# The requests of the Gateway API's conformance suite, by what import makes of its manifests; writes docs/conformance.md.
# The suite's module stands in tools/conformance, as nothing else needs it.
conformance:
	go test -count 1 -timeout 20m ./test/conformance -update

# Debian's packages that the tests need
packages:
	@missing=$$(tools/packages.sh test) || { echo "make: the tests need more packages: apt-get install $$missing" >&2; exit 1; }

# what so many Envoys at once need of Linux
inotify:
	@tools/inotify.sh

# what is wrong with the code and no test says: with what make test has compiled it takes less
lint: format
	go mod tidy -diff
	go vet ./...
	$(LINT) staticcheck ./...
	@tools/size.sh

format:
	@unformatted=$$($(LINT) gofumpt -l $(wildcard */)) || exit 1; \
		if [ -n "$$unformatted" ]; then echo "format: not formatted by gofumpt:" >&2; echo "$$unformatted" >&2; exit 1; fi

# what gosec finds in the code, and Go's vulnerability database in the dependencies. Not
# looked for: G104 (errors of closing what is done with), G115 (numbers that the schema
# bounds), and G304 and G703 (files that the user names)
security:
	$(LINT) gosec -quiet -exclude-generated -conf tools/lint/gosec.json -exclude G104,G115,G304,G703 -exclude-dir test/cluster ./...
	@tools/vulnerabilities.sh

# what needs root, for hosts that are network namespaces, a browser ($$CHROMIUM, or chromium), or a
# Kubernetes: that of $$KUBECONFIG, or one of its own (test/cluster), or the OpenTelemetry Collector (tools/collector)
e2e: build tools
	@tools/collector.sh
	go vet -tags e2e ./...
	$(WITH_ENVOY) go test -tags e2e -run '^(TestRedirect|TestRedirectedAddresses|TestUndeclaredCallsPass|TestInboundPorts|TestProxyIsConfined|TestAdministrationFromOneAddress|TestMetricsBehindRedirection|TestPeersOfOneService|TestManyRules|TestUndeclaredUDPIsRefused|TestUDPByAddressOfTheCaller)$$' ./host/redirect
	$(WITH_ENVOY) go test -tags e2e -run '^(TestPrometheusReadsEveryProxy|TestPrometheusReadsApplications|TestMetricsArePushed(ThroughTheCollector|WithATokenOverTLS)|TestAlertsFireForTheirCause|TestErrorBudgetAlerts|TestDashboardsHaveData|TestPageShowsWhatWasSent|Test(OneTrace|LogsGo)ThroughTheCollector)$$' ./host/local
	$(WITH_ENVOY) go test -tags e2e -run '^(TestPage|TestGeometryInTheBrowser|TestLivePage|TestLinesSayTheirState|TestNewsOnThePage|TestOldNumbersAreMarked)$$' ./review/graph
	$(WITH_ENVOY) go test -tags e2e -timeout 60m -count 1 -run '^(TestPlants|TestHealthyMeshHasNoCause)$$' ./test/plants
	@$(WITH_ENVOY) test/e2e/run

# what takes long: many random specs and commits, random requests tried and sent, random paths by one proxy and two,
# ten leaves of a minute and a new root under load, instances that change all the time under load, a server that is
# away for two minutes, and planted causes; what is random is made of a new seed, or of MESHC_SEED
soak: export MESHC_SEED ?= $(shell date +%s)
soak: build tools inotify
	$(WITH_ENVOY) MESHC_RANDOM_SPECS=2000 go test -timeout 60m -count 1 -run RandomSpecs -v ./render
	$(WITH_ENVOY) MESHC_PAIRS=2000 go test -timeout 60m -count 1 -run EveryDifferenceIsFound -v ./review/diff
	$(WITH_ENVOY) MESHC_LONGEST=12 go test -timeout 30m -count 1 -run FailuresOfTheShop -v ./review/verify
	MESHC_COMMIT_PAIRS=500 go test -timeout 60m -count 1 -run PairsOfCommits -v ./cmd/meshc
	$(WITH_ENVOY) MESHC_PATHS=100000 MESHC_AUTHORITIES=20000 go test -timeout 60m -count 1 \
		-run 'PathsAreOneThing|AuthoritiesAreOneThing|RewritesKeepTheirPrefix' -v ./host/local
	$(WITH_ENVOY) MESHC_TRIES=10000 go test -timeout 60m -count 1 -run TryIsEnvoy -v ./host/local
	$(WITH_ENVOY) MESHC_TRIES=10000 go test -timeout 90m -count 1 -run 'MetricsAreWhatTrySays|ConnectionsAreCounted' -v ./host/local
	$(WITH_ENVOY) MESHC_SERIES=100 go test -timeout 60m -count 1 -run ScrapedSeriesAreCompiled -v ./host/local
	$(WITH_ENVOY) MESHC_ENVOY_PAIRS=2000 go test -timeout 180m -count 1 -run EveryDifferenceOfEnvoysIsTold -v ./host/local
	$(WITH_ENVOY) MESHC_LEAF_LIFE=60s MESHC_LEAVES=3 go test -timeout 30m -count 1 -run RootIsReplacedUnderLoad -v ./host/local
	$(WITH_ENVOY) MESHC_LOAD_EDITS=1000 go test -timeout 60m -count 1 -run NoRequestIsLostByEdits -v ./host/local
	$(WITH_ENVOY) MESHC_CHURN=1000 go test -timeout 60m -count 1 -run ChurnLosesNothing -v ./host/local
	$(WITH_ENVOY) MESHC_WITNESSES=2000 go test -timeout 120m -count 1 -run WitnessesDiffer -v ./host/local
	MESHC_LAYOUTS=1000 go test -timeout 30m -count 1 -run Geometry -v ./review/graph/layout
	$(WITH_ENVOY) MESHC_HOSTILE=100 go test -timeout 60m -count 1 -run TextIsNoCommand -v ./cmd/meshc
	$(WITH_ENVOY) MESHC_ORDNANCE=all go test -timeout 30m -count 1 -run EverythingHasItsLimit -v ./cmd/meshc
	$(WITH_ENVOY) MESHC_OUTAGE=60s go test -timeout 30m -count 1 -run '^TestHosts$$' -v ./cmd/meshc
	$(WITH_ENVOY) MESHC_PLANT_SEEDS=10 MESHC_HEALTHY=200 go test -tags e2e -timeout 480m -count 1 -v ./test/plants
	$(WITH_ENVOY) MESHC_API_SERVER_AWAY=1m test/e2e/run -run TestGitPush
	MESHC_OBJECTS=2000 go test -timeout 60m -count 1 -run '^TestRandom' ./importer
	MESHC_EDITS=500 go test -timeout 60m -count 1 -run ChangesReachWhomTheyConcern -v ./serve
	MESHC_EVENTS=10000 go test -timeout 90m -count 1 -run PushesAreExact -v ./serve

# input that nobody wrote: specs, mesh.json, strings in YAML, paths, what proxies say, join
# tokens and requests for certificates; the corpus is in testdata/fuzz and grows in
# Go's cache
fuzz:
	@set -e; for target in render.FuzzSpec render.FuzzMesh render/manifest.FuzzYAMLString \
			compiler/try.FuzzPath importer.FuzzImport serve.FuzzADS serve/telemetry.FuzzReport identity/ca.FuzzRedeem identity/enroll.FuzzParseRequest; do \
		$(WITH_ENVOY) tools/fuzz.sh ./$${target%.*} $${target##*.} $(FUZZTIME); \
	done

# the race detector where goroutines meet; not what compiles many random meshes, which it makes ten times as slow, and
# starts them as all other tests do
race: tools inotify
	$(WITH_ENVOY) go test -timeout 30m -race -parallel 4 -skip '^Test(TryIsEnvoy|EveryDifferenceOfEnvoysIsTold|WitnessesDiffer|MetricsAreWhatTrySays|ConnectionsAreCountedAsTried|ScrapedSeriesAreCompiled)$$' \
		./serve/... ./identity/... ./host/...

# compilation next to "cue export", and the proxies next to a pair of Envoys whose configuration is
# written by hand: bench/*.txt and bench/*.json
bench: build tools
	go build -o bin/cue cuelang.org/go/cmd/cue
	$(WITH_ENVOY) go run ./tools/bench
	$(WITH_ENVOY) go run ./tools/dataplane

# meshc serve under load, for which no Envoy is needed: bench/serve.txt and bench/serve.json. SERVE="-services 100
# -edits 20" and the other flags of tools/bench/serve.go make it shorter
bench-serve: build
	go run ./tools/bench serve $(SERVE)

clean:
	rm -rf bin out bench
