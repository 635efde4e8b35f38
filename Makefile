# What a contributor runs. `make` alone prints the targets. GO=... chooses the
# toolchain, ARGS=... is handed to what is run.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE    ?= kinglet:$(VERSION)
FUZZTIME ?= 30s
BENCH    ?= .
E2E      ?= ./e2e/...
ARGS     ?=

LDFLAGS = -s -w -X main.version=$(VERSION)
BUILD   = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"
LINTER  = bin/golangci-lint

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the static binaries bin/kinglet and bin/kinglet-demo
	$(BUILD) -o bin/kinglet ./cmd/kinglet
	$(BUILD) -o bin/kinglet-demo ./cmd/kinglet-demo

.PHONY: demo
demo: build ## run kinglet against recorded pages and a database of its own; ARGS="-interval 2s"
	@exec bin/kinglet-demo $(ARGS)

.PHONY: test
test: ## every test that needs nothing but Go; ARGS="-run Name"
	$(GO) test $(ARGS) ./...

.PHONY: race
race: ## the same tests under the race detector
	$(GO) test -race $(ARGS) ./...

.PHONY: e2e
e2e: build ## the built binary against VictoriaMetrics and Prometheus, which it installs, and against Prometheus in process
	e2e/install
	KINGLET_BIN=$(CURDIR)/bin/kinglet KINGLET_DEMO_BIN=$(CURDIR)/bin/kinglet-demo $(GO) test -tags e2e -count=1 -p 1 -timeout 15m $(ARGS) $(E2E)

.PHONY: conformance
conformance: build ## every rule of scraping and remote write; RULES_AGENT=kind:path judges another agent
	KINGLET_BIN=$(CURDIR)/bin/kinglet $(GO) test -tags e2e -count=1 -timeout 10m $(ARGS) ./e2e/rules

.PHONY: faults
faults: build ## kinglet killed, its disk filled, its endpoint away, and every sample counted; FAULTS_KILLS=1000 FAULTS_OUTAGE=60s
	KINGLET_BIN=$(CURDIR)/bin/kinglet $(GO) test -tags e2e -count=1 -timeout 3h -v $(ARGS) ./e2e/faults

.PHONY: e2e-cluster
e2e-cluster: ## kinglet in a Kubernetes cluster of the real programs, where root may have one; docs/cluster-tests.md
	k8s/cluster/e2e $(ARGS)

.PHONY: lint
lint: $(LINTER) ## the linters, and the rules about who may import whom
	$(LINTER) run ./...

$(LINTER): tools/go.mod tools/go.sum
	@mkdir -p bin
	cd tools && $(GO) build -o ../$(LINTER) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: fmt
fmt: ## format the source
	gofmt -l -w .

.PHONY: fuzz
fuzz: ## each fuzz test for FUZZTIME (30s)
	@set -e; grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's/^(.*)\/[^/]+:[0-9]+:func (.*)$$/\1 \2/' | \
	sort -u | while read -r folder name; do \
		echo "== $$folder $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$folder" < /dev/null; \
	done

# The end-to-end half of make bench; docs/performance.md says how to read it.
SCENARIO ?= real,S1
WARM     ?= 30s
MEASURE  ?= 30s
ROUNDS   ?= 1
AGENTS   ?=

.PHONY: bench
bench: bench-stages bench-agents ## what a sample costs: the stages, then the binary; AGENTS="NAME=KIND:/path/to/binary ..."

.PHONY: bench-stages
bench-stages:
	@mkdir -p bin
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(ARGS) ./inputs/... ./writer/... > bin/bench-stages.txt || { cat bin/bench-stages.txt; exit 1; }
	@grep -E '^(pkg|Benchmark)' bin/bench-stages.txt

.PHONY: bench-agents
bench-agents:
	$(BUILD) -o bin/kinglet ./cmd/kinglet
	$(GO) build -o bin/bench ./e2e/bench
	bin/bench run -scenario $(SCENARIO) -warm $(WARM) -measure $(MEASURE) -rounds $(ROUNDS) -version $(VERSION) -out bin/bench.json kinglet=kinglet:bin/kinglet $(AGENTS)

.PHONY: bench-docs
bench-docs: bench ## the same, and the results into docs/performance.md and README.md
	bin/bench docs -from bin/bench.json -stages bin/bench-stages.txt docs/performance.md README.md

.PHONY: golden
golden: ## rewrite the golden files from what the code does now; read the diff
	$(GO) test $$(grep -rlE --include='*_test.go' 'flag\.Bool\("update"' . | xargs -n1 dirname | sort -u) -update

.PHONY: image
image: ## the container image IMAGE
	$$(command -v docker || command -v podman) build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: manifests
manifests: ## the manifests and the chart as kustomize and helm render them; ARGS=-update rewrites what the tests have
	cd tools/manifests && $(GO) run . $(ARGS) ../..

.PHONY: verify
verify: ## exactly what CI runs
	@$(MAKE) --no-print-directory check-fmt
	$(GO) vet ./...
	$(GO) vet -tags e2e ./e2e/...
	@$(MAKE) --no-print-directory lint
	$(GO) mod tidy -diff
	@$(MAKE) --no-print-directory manifests
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory race
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory e2e-cluster || { echo "== e2e-cluster failed once, as told above; it is run a second time, which decides"; \
	$(MAKE) --no-print-directory e2e-cluster; }

.PHONY: check-fmt
check-fmt:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi
