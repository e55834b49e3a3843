# Every habit of the project. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Long builds show how far they are: one line for every hundred packages.
COUNT = awk 'NR % 100 == 0 { print "  " NR " packages compiled"; fflush() } /^(\#|.*\.go:[0-9]+:)/ { print }'

# The tests run under the race detector, without SQLite, which was translated from C: under Temporal it would take a
# quarter of their time. What they run and what checks them is compiled alike, so that it is compiled once.
RACE = -race -gcflags=modernc.org/...=-race=false

# How long one package of tests may take.
TEST_TIMEOUT ?= 50m

# What lint has vetted is not vetted again, and what nobody debugs is linked faster.
GO_TEST = go test $(RACE) -vet=off -ldflags '-s -w' -timeout $(TEST_TIMEOUT)

.PHONY: help build dev demo test lint bench histories reference engine images kubernetes clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build windlass, windlass-worker, windlass-dev and windlass-proxy into bin/
	@echo "building; the first time takes some minutes"
	@go build -v -o bin/ $$(go list ./cmd/... | grep -v /windlass-proxy) 2>&1 | $(COUNT)
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o bin/ ./cmd/windlass-proxy # static: it runs in an image of its own

dev: build engine ## run NATS, Temporal, its web UI and a worker in one process
	@go run ./dev/images/cmd users fixture postgres redis
	@bin/windlass-dev --postgres-image 'windlass.local/postgres:{version}' --redis-image 'windlass.local/redis:{version}'

demo: build engine ## deploy the users service, kill the worker, destroy everything (KEEP=1 leaves it running)
	@go run ./dev/images/cmd users postgres
	@go run ./dev/demo

# The integration tests have the machine for themselves: they run four systems side by
# side, on the servers of windlass-dev. Benchmarks hold no tests; lint compiles them.
test: engine images kubernetes lint ## run every check and test
	@echo "building the tests with the race detector, and the servers without it; the first time takes some minutes"
	@go build $(RACE) -v ./... 2>&1 | $(COUNT)
	@go build -v ./cmd/... 2>&1 | $(COUNT)
	@$(GO_TEST) $$(go list ./... | grep -vE '/dev/(integration$$|bench/)')
	@echo "killing parts of the whole system at every step; about half an hour on two processors"
	@$(GO_TEST) ./dev/integration

lint: ## go vet, staticcheck and workflowcheck
	@echo "checking the code; the first time takes some minutes"
	@GOFLAGS='$(RACE)' go vet ./...
	@GOFLAGS='$(RACE)' $$(go tool -n staticcheck) ./...
	@GOFLAGS='$(RACE)' $$(go tool -n workflowcheck) ./workflows/...

bench: build engine images ## run the benchmarks; docs/benchmarks.md says what they mean
	@go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./dev/bench/...

histories: engine images ## record the workflow histories that the replay tests read
	@go test ./dev/histories -run TestRecord -record

reference: ## write docs/reference/resources.md from the JSON Schema
	@go run ./dev/reference

engine: # make sure that a container engine answers
	@go run ./dev/engine

images: # build the images of the demo and the tests
	@go run ./dev/images/cmd all

kubernetes: # build the programs of the Kubernetes cluster of the tests
	@go run ./dev/kubernetes/cmd

clean: ## remove what was built
	@rm -rf bin
