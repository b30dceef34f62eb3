#!/bin/sh
# What CI checks of the CUDA part on a machine without a GPU: the checked-in PTX,
# vet and tests with the tag gpu, that the programs link against libc alone, what
# they say where there is no device, and that they train on the CPU there. The tag
# needs Linux on amd64 and a C compiler; elsewhere it skips itself in a line.
set -eu
cd "$(dirname "$0")/.."
if [ "$(go env GOOS)/$(go env GOARCH)" != linux/amd64 ]; then
	echo "gpu-test: skipped: the tag gpu is for linux/amd64, this is $(go env GOOS)/$(go env GOARCH)"
	exit
fi
if ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
	echo "gpu-test: skipped: no C compiler ($(go env CC)), which the tag gpu needs"
	exit
fi
scripts/ptx.sh --check
CGO_ENABLED=0 go run ./internal/cuda/gen -out .build/gpu
. scripts/gpu-env.sh
go vet -tags gpu ./...
go test -short -tags gpu ./internal/cuda/...
go build -tags gpu -trimpath -o .build/gpu/probe ./internal/cuda/probe

go build -tags gpu -trimpath -o .build/gpu/flops ./cmd/flops

for program in probe flops; do
	for lib in $(ldd .build/gpu/$program | awk '{print $1}'); do
		case $lib in
		linux-vdso* | libc.so* | */ld-linux* | ld-linux*) ;;
		*)
			echo "gpu-test: $program needs $lib, and should need libc alone" >&2
			exit 1
			;;
		esac
	done
done

# says FILE STATUS TEXT COMMAND...: the command ends with the status and says it
says() {
	file=.build/gpu/$1 want=$2 text=$3
	shift 3
	status=0
	"$@" >"$file" 2>&1 || status=$?
	if [ "$status" != "$want" ] || ! grep -q "$text" "$file"; then
		echo "gpu-test: $*: status $status, want $want with \"$text\":" >&2
		cat "$file" >&2
		exit 1
	fi
}
rm -rf .build/gpu/run .build/gpu/run-auto
if .build/gpu/probe cuda >.build/gpu/probe.out 2>&1; then
	echo "gpu-test: there is a GPU here: run scripts/gpu-check.sh too"
else
	says probe.out 2 '^flops: hint: ' .build/gpu/probe cuda
	says probe.out 2 '^flops: error: train.device: cuda: no CUDA device found' .build/gpu/probe cuda
	for command in "train --config configs/demo.yaml --smoke --output .build/gpu/run" "eval --model x --data internal" "predict --model x x.png" \
		"embed --model x --data internal --output x.npy" "serve --model x" "bench"; do
		says no-device.out 2 '^flops: error: device cuda: no CUDA device found' .build/gpu/flops $command --device cuda
	done
	says bench.out 2 '^flops: hint: ' .build/gpu/flops bench --device cuda
	says auto.out 0 '^engine *cpu' .build/gpu/flops train --config configs/demo.yaml --smoke --device auto --output .build/gpu/run-auto
fi
says cpu.out 0 '^test accuracy' .build/gpu/flops train --config configs/demo.yaml --smoke --device cpu --output .build/gpu/run
echo "gpu-test: passed"
