# Targets for people and for CI; `make check` is all that CI runs.
SHELL := /bin/bash
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 3s

.PHONY: all help build demo test race fuzz bench lint tidy smoke readme examples reproduce check dist ptx build-gpu gpu-test fresh quick clients clean serve-load packages

all: build

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## bin/flops, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/flops ./cmd/flops

demo: build ## train a tiny ViT by forward passes, then show one batch's allocation
	rm -rf runs/demo
	bin/flops train --config configs/demo.yaml --output runs/demo
	bin/flops allocate-report --config configs/demo.yaml --checkpoint $$(ls -d runs/demo/checkpoints/step-* | sort -V | tail -1)

# The flags of build, so that everything is compiled once; lint vets.
TEST := CGO_ENABLED=0 FLOPS_HOST_KERNELS=off $(GO) test -trimpath -vet=off

test: ## every test that needs Go alone (gpu-test compiles the CUDA kernels for the host and runs the rest)
	$(TEST) ./...

quick: ## the short tests, within a minute on two cores
	$(TEST) -short ./...

race: ## the tests under the race detector, on the portable kernels
	scripts/check-race.sh

fuzz: ## every fuzz target for FUZZTIME (3s) each
	FUZZTIME=$(FUZZTIME) scripts/check-fuzz.sh

lint: ## gofmt, vet on three systems, staticcheck, widths, generated code, the documents' names, links, commands and numbers
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "run gofmt -w on the files above"; exit 1; }
	$(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	GOOS=windows GOARCH=arm64 $(GO) vet ./...
	$(GO) tool staticcheck ./...
	scripts/check-lines.sh
	scripts/check-docs.sh
	scripts/check-links.sh
	scripts/check-architecture.sh
	scripts/check-generated.sh
	$(TEST) ./cmd/flops -run '^TestDocumented'

tidy: ## go.mod and go.sum say what is used
	$(GO) mod tidy -diff

smoke: build ## a short run of every shipped config, and every command on a model of every family
	scripts/fetch-dinov2-small.sh || [ $$? -eq 3 ]
	scripts/smoke.sh
	scripts/models-table.sh --check

readme: build ## every command of the README, on small stand-ins for its data
	scripts/check-readme.sh

examples: ## build and run the examples that are modules of their own
	scripts/check-examples.sh

reproduce: build ## a few steps of every command of docs/results.md
	scripts/results.sh all --quick

serve-load: build ## flops serve under load for 20 s (scripts/check-serve.sh 600 for ten minutes)
	scripts/check-serve.sh 20

clients: build ## real clients of flops (transformers, TensorBoard, Triton's client ...), installed into .build
	scripts/clients.sh

check: lint tidy test race fuzz gpu-test fresh smoke readme examples reproduce serve-load packages clients ## all that CI runs

bench: build ## the engine's speed, beside PyTorch where it is installed
	$(GO) test -run xxx -bench . -benchtime 3x ./internal/bench
	scripts/bench.sh 5

ptx: ## compile the CUDA kernels (clang)
	scripts/ptx.sh

build-gpu: ## bin/flops-gpu (C compiler)
	scripts/build-gpu.sh

gpu-test: ## CI's checks of the tag gpu
	scripts/gpu-test.sh

fresh: ## build-gpu, demo, bench and the tests' modules, each from an empty module cache
	scripts/check-fresh.sh

packages: ## go install from outside, this machine's archive, the container and the units of systemd
	scripts/check-install.sh
	scripts/check-dist.sh

dist: ## archives for linux, macOS and Windows on amd64 and arm64, without cgo
	scripts/dist.sh $(VERSION)

clean: ## remove what was built
	rm -rf bin dist .build
