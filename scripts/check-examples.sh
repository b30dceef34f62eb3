#!/usr/bin/env bash
# Builds and runs the examples that are modules of their own, as somebody outside
# would: by the public packages alone. Nothing else may come along.
set -euo pipefail
cd "$(dirname "$0")/../examples"
for mod in */go.mod; do
  dir=${mod%/go.mod}
  (
    cd "$dir"
    go vet ./...
    if go list -deps ./... | grep -E '^github.com/flops-vit/flops/internal/'; then
      echo "examples: $dir reaches into internal"
      exit 1
    fi
    if go list -deps -f '{{if not .Standard}}{{.ImportPath}}{{end}}' ./... |
      grep -vE '^(example\.com/|github\.com/flops-vit/flops/(alloc|forward|noise(/isa)?)$|golang\.org/x/sys/cpu$)'; then
      echo "examples: $dir needs more than the standard library"
      exit 1
    fi
    go run . >/dev/null
  )
  echo "examples: $dir ok"
done
