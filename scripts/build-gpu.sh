#!/bin/sh
# Build bin/flops-gpu: the same program with the tag gpu. It needs a C compiler,
# and neither a CUDA toolkit nor a GPU (docs/gpu.md).
#
#   scripts/build-gpu.sh [PACKAGE [OUTPUT]]
set -eu
cd "$(dirname "$0")/.."
package=${1:-./cmd/flops}
output=${2:-bin/flops-gpu}
CC=${CC:-$(go env CC)}
export CC
for tool in "${CC%% *}" ar; do
	if ! command -v "$tool" >/dev/null; then
		echo "build-gpu: $tool is missing: install a C compiler (Debian: apt-get install gcc libc6-dev)" >&2
		exit 1
	fi
done
CGO_ENABLED=0 go run ./internal/cuda/gen -out .build/gpu
. scripts/gpu-env.sh
go build -tags gpu -trimpath -o "$output" "$package"
echo "built $output"
