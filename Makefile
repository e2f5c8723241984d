# What CI runs, and what you run: the same targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := all

TOOLS := $(CURDIR)/_output/tools
LINT  := $(TOOLS)/golangci-lint-$(shell sha256sum tools/golangci-lint/go.sum | cut -c1-12)
LOCAL := go run ./cluster/local

.PHONY: all
all: test ## Everything that CI checks.

.PHONY: help
help: ## What there is to make.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: test
test: deps check-generate lint ## All tests, on a real control plane and real brokers.
	go test -race -timeout 40m ./...
	cd test/cloudevents && go test -race ./... # A module of its own: nobody else downloads what it compares with.
	cd test/eventsourcing && go test -race ./... # A module of its own: nobody else downloads the suite that it runs.

.PHONY: test-short
test-short: ## The tests that need nothing but Go.
	go test -race -short ./...

.PHONY: deps
deps: ## Install what is missing from the distribution's packages.
	@tools/deps

.PHONY: generate
generate: ## Write again what is generated.
	go generate ./...

.PHONY: check-generate
check-generate: ## Fail if what is generated is not what is checked in.
	@tools/check-generate

.PHONY: lint
lint: $(LINT) ## Run the linters.
	$(LINT) run --allow-parallel-runners ./...

$(LINT):
	@echo "building golangci-lint (a few minutes, once)"
	cd tools/golangci-lint && CGO_ENABLED=0 go build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: build
build: ## Build the packages, with the runtime images in them.
	$(LOCAL) build

.PHONY: up
up: deps ## Start the local control plane, with this checkout's packages installed.
	@echo "compiling esctl, the examples and the local control plane (up to ten minutes, once)"
	@go build ./cmd/... ./cluster/local ./examples/...
	$(LOCAL) up

.PHONY: demo
demo: up ## Show the whole path: a claim becomes a store, a service uses it, drift is repaired.
	go run ./examples/demo

.PHONY: down
down: ## Stop the local control plane, and delete all its data.
	$(LOCAL) down

# Which brokers to measure, and further flags: make bench BACKENDS=redis BENCH="--stores 100 --measures ready,drift"
BACKENDS ?= redis,kafka,pulsar
BENCH ?=

.PHONY: bench
bench: deps ## Measure stores, claims, drift and the steady state on all backends. Takes about ten minutes for each.
	$(LOCAL) up --brokers $(BACKENDS)
	$(LOCAL) reload
	go run ./test/bench --backends $(BACKENDS) $(BENCH)

.PHONY: bench-scale
bench-scale: deps ## Measure the steady state of ten thousand stores, on Redis and Kafka.
	$(LOCAL) up --brokers redis,kafka
	$(LOCAL) reload
	go run ./test/bench --backends redis,kafka --scale 10000 --output _output/bench/scale.json $(BENCH)

# Which drivers to measure: make bench-sdk DRIVERS=redis
DRIVERS ?= kafka,pulsar,redis

.PHONY: bench-sdk
bench-sdk: deps ## Measure the SDK's drivers beside the raw clients. Takes about five minutes for each.
	go test -count=1 -timeout 60m -v -run '^TestMeasure$$' ./test/sdkbench -bench.backends $(DRIVERS) -bench.json $(CURDIR)/_output/bench/sdk.json

SOAK ?=

.PHONY: soak
soak: deps ## Let stores come and go on all backends for a quarter of an hour, and see that nothing is lost or left.
	go run ./test/soak --backends $(BACKENDS) $(SOAK)
