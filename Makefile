# Targets for people and for CI; `make check` is all that CI runs.
SHELL := /bin/bash
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: all build demo test race fuzz bench lint tidy smoke check dist ptx build-gpu gpu-test clean

all: build

build: ## the static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/flops ./cmd/flops

demo: build ## train a tiny ViT by forward passes, then show one batch's allocation
	rm -rf runs/demo
	bin/flops train --config configs/demo.yaml --output runs/demo
	bin/flops allocate-report --config configs/demo.yaml --checkpoint $$(ls -d runs/demo/checkpoints/step-* | sort -V | tail -1)

test:
	$(GO) test ./...

race: ## the race detector, on the portable kernels
	FLOPS_KERNEL=portable $(GO) test -race -short ./internal/lr ./internal/vit ./internal/data ./internal/remote ./internal/train

lint:
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "run gofmt -w on the files above"; exit 1; }
	$(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	GOOS=windows GOARCH=amd64 $(GO) vet ./...
	$(GO) tool staticcheck ./...

tidy:
	$(GO) mod tidy -diff

smoke: build ## a short run of every shipped config
	scripts/smoke.sh

check: lint tidy test race smoke

bench: build
	$(GO) test -run xxx -bench . -benchtime 3x ./internal/bench
	scripts/bench.sh 5

ptx:
	scripts/ptx.sh

build-gpu:
	scripts/build-gpu.sh

gpu-test:
	scripts/gpu-test.sh

dist: ## archives for linux, macOS and Windows on amd64 and arm64, without cgo
	scripts/dist.sh $(VERSION)

clean:
	rm -rf bin dist .build
