#!/bin/sh
# What CI checks of the CUDA part on a machine without a GPU: the checked-in PTX,
# vet and tests with the tag gpu, that the program links against libc alone, and
# what it says where there is no device.
set -eu
cd "$(dirname "$0")/.."
scripts/ptx.sh --check
CGO_ENABLED=0 go run ./internal/cuda/gen -out .build/gpu
. scripts/gpu-env.sh
go vet -tags gpu ./...
go test -tags gpu ./internal/cuda/...
go build -tags gpu -trimpath -o .build/gpu/probe ./internal/cuda/probe

for lib in $(ldd .build/gpu/probe | awk '{print $1}'); do
	case $lib in
	linux-vdso* | libc.so* | */ld-linux* | ld-linux*) ;;
	*)
		echo "gpu-test: the program needs $lib, and should need libc alone" >&2
		exit 1
		;;
	esac
done

status=0
.build/gpu/probe cuda >.build/gpu/probe.out 2>&1 || status=$?
if [ "$status" = 0 ]; then
	echo "gpu-test: there is a GPU here: run scripts/gpu-check.sh too"
elif [ "$status" != 2 ] || ! grep -q 'flops: error: train.device: cuda: no CUDA device found' .build/gpu/probe.out || ! grep -q 'flops: hint: ' .build/gpu/probe.out; then
	echo "gpu-test: without a device the program ends with status $status and says:" >&2
	cat .build/gpu/probe.out >&2
	exit 1
fi
echo "gpu-test: passed"
