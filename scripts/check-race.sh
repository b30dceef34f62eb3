#!/usr/bin/env bash
# Runs the short tests of the packages that start goroutines under the race
# detector, on the portable kernels: the detector does not see into assembly,
# and purego's calls have crashed under it. The detector needs cgo on Linux;
# without a C compiler the step is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(go env GOOS)" != darwin ] && ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
  echo "race: skipped, no C compiler ($(go env CC)), which the race detector needs"
  exit
fi
export CGO_ENABLED=1 FLOPS_KERNEL=portable
go test -race -short -timeout 30m ./internal/vit ./internal/data ./internal/remote
exec go test -race -short -timeout 30m -run 'TestRemoteRun' ./internal/train
