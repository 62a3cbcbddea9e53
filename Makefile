# Bare `make` lists the targets. Everything needs Go and a shell alone; the tests
# need a Redis server as well, and get it (scripts/ensure-redis.sh).

SHELL := /bin/sh

# staticcheck rather than golangci-lint: built from its sources, at a pinned
# version, without entering go.mod, it is there after 12 seconds; golangci-lint
# takes 99 s and 1 GB of build cache, and what it adds here is mostly staticcheck.
# What it checks stands in staticcheck.conf.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The race detector: auto (where there is a C compiler, which it needs), required
# (fail where there is none), off.
RACE ?= auto
# One test binary may take this long. All together take a few minutes.
TEST_TIMEOUT ?= 8m
FUZZTIME ?= 10s
# Packages to test: make test PKG=./queue/...
PKG ?= ./...

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the commands into bin/
	@mkdir -p bin
	go build -o bin/ ./cmd/...

# Nothing here is written in C, so go vet needs no C compiler even where Go
# thinks that there is one. go test need not vet again.
.PHONY: test
test: ## all checks and tests; installs redis-server if it is missing (RACE=off, PKG=./queue/...)
	@echo '==> redis-server'
	@scripts/ensure-redis.sh </dev/null
	@echo '==> go vet'
	@CGO_ENABLED=0 go vet $(PKG)
	@echo '==> gofmt'
	@files=$$(gofmt -l .) || exit 1; [ -z "$$files" ] || \
		{ echo "not formatted; run make fmt:" >&2; echo "$$files" >&2; exit 1; }
	@RACE=$(RACE) scripts/gotest.sh -vet=off -timeout $(TEST_TIMEOUT) $(PKG)

.PHONY: test-faults
test-faults: ## the fault suite in its long form; writes the table in docs/reliability.md (REDIS_SERVERS=path,path)
	@scripts/ensure-redis.sh </dev/null
	@FAULTS=long FAULTS_REPORT=$(CURDIR)/docs/reliability.md RACE=$(RACE) \
		scripts/gotest.sh -vet=off -count=1 -timeout 45m -run TestFaults ./internal/faults

.PHONY: lint
lint: ## staticcheck, at a pinned version
	@echo '==> staticcheck'
	@go run $(STATICCHECK) ./...

.PHONY: fmt
fmt: ## format all Go files
	gofmt -w .

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (10s)
	@scripts/fuzz.sh $(FUZZTIME)

# A module of its own: what it compares with never enters this one. It takes
# about four minutes; make bench BENCH='-rounds 1 -only drain100' is shorter.
.PHONY: bench
bench: ## measure beside asynq and bare go-redis, print a table (BENCH=flags, e.g. -help)
	@cd bench && go run . $(BENCH)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
