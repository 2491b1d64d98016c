# make build test lint sim faults fuzz bench interop demo clean; CONTRIBUTING.md says when.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

# The race detector is several times slower: it runs where goroutines share state, one
# package at a time, since some of them measure time.
RACE := ./internal/compact/... ./internal/ledger/... ./internal/blob/... ./internal/app/... ./internal/adapter/program/... ./internal/shadow/... ./internal/rollback/...
SEEDS ?= 2000
KILLS ?= 50
FUZZTIME ?= 10s

# The product has no cgo (CONTRIBUTING.md); only the race detector needs it.
export CGO_ENABLED := 0

.PHONY: build test unit race lint sim faults fuzz bench interop interop-env demo clean

build:
	go build -trimpath -o bin/lockstep ./cmd/lockstep

test: unit race sim interop

# vet is part of lint, with more checks than go test runs.
unit:
	go test -vet=off ./...

race:
	CGO_ENABLED=1 go test -vet=off -race -p 1 $(RACE)

# Built under .cache/ once; later runs only compare a hash.
interop-env:
	@scripts/interop-env.sh >/dev/null

interop: interop-env
	scripts/interop.sh

lint:
	lint="$$(scripts/setup-tools.sh)"; \
	"$$lint" config verify -c .golangci.yml; \
	"$$lint" run -c .golangci.yml ./...

sim:
	go test -vet=off ./internal/simtest -run Simulation -sim.seeds=$(SEEDS)
	go test -vet=off ./internal/crashtest -crash.rounds=$(KILLS)

# HEALTHY is how many good candidates are released besides the bad ones.
HEALTHY ?= 300
faults:
	go run ./cmd/lockstep-faults -healthy $(HEALTHY)

fuzz:
	FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

# PY is an interpreter with chromadb, for the figures that have a peer.
bench:
	PY="$${PY:-$$(scripts/interop-env.sh | cut -d: -f2)}" go run ./cmd/lockstep-bench

demo:
	go run ./cmd/lockstep demo

clean:
	rm -rf bin dist .cache
