#!/usr/bin/env bash
# Runs the short tests of every package that starts goroutines, or works through
# one that does, under the race detector, on the portable kernels: the detector
# does not see into assembly, and purego's calls have crashed under it. Tests that
# compute for minutes there and share nothing more are left out. The detector
# needs cgo on Linux; without a C compiler the step is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(go env GOOS)" != darwin ] && ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
  echo "race: skipped, no C compiler ($(go env CC)), which the race detector needs"
  exit
fi
export CGO_ENABLED=1 FLOPS_KERNEL=portable
# whatever says go or sync, and the rooms above
mapfile -t found < <(go list -f '{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}' ./... | grep . |
  xargs grep -lE '^[[:space:]]*go (func|[a-zA-Z.]+\()|sync\.' | grep -vE '/asm/|internal/(cuda|kernel)/' | xargs -n1 dirname)
mapfile -t packages < <(go list "${found[@]}" ./internal/train ./internal/report ./internal/device | sort -u)
long='^(TestReference.*|TestPreflight|TestAlignedLearns|TestPackedTar)$'
go test -race -short -timeout 30m -skip "$long" "${packages[@]}"
# of the kernels, what runs them on several cores
exec go test -race -short -timeout 30m -run 'Parallel|Concurrent|Worker|Split' ./internal/kernel
