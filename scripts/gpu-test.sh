#!/bin/sh
# What CI checks of the CUDA part on a machine without a GPU: the checked-in PTX,
# vet and tests with the tag gpu, that the programs link against libc alone, what
# they say where there is no device, and that they train on the CPU there. The tag
# needs Linux on amd64 and a C compiler; elsewhere it says so in a line, and runs the
# kernels' tests without the tag, which skip themselves where there is no C++ compiler.
set -eu
cd "$(dirname "$0")/.."
# without REASON: the tests on the host alone
without() {
	echo "gpu-test: only the kernels on the host: $1"
	CGO_ENABLED=0 go test ./internal/cuda/...
	exit
}
if [ "$(go env GOOS)/$(go env GOARCH)" != linux/amd64 ]; then
	without "the tag gpu is for linux/amd64, this is $(go env GOOS)/$(go env GOARCH)"
fi
if ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
	without "no C compiler ($(go env CC)), which the tag gpu needs"
fi
scripts/ptx.sh --check
CGO_ENABLED=0 go run ./internal/cuda/gen -out .build/gpu
. scripts/gpu-env.sh
go vet -tags gpu ./...
go test -tags gpu ./internal/cuda/...
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

# Every command on a device: the tests' driver and cuBLAS, which compute on the host.
cxx=${CXX:-g++}
if command -v "$cxx" >/dev/null; then
	stub=$PWD/.build/gpu/stub runs=.build/gpu/runs
	rm -rf "$stub" $runs
	mkdir -p "$stub" $runs
	(
		cd internal/cuda
		for lib in libcuda.so.1:libcuda.cpp libcublas.so.12:cublas.cpp libcublasLt.so.12:cublas.cpp; do
			"$cxx" -std=c++17 -O2 -march=native -ffp-contract=off -fno-strict-aliasing -fPIC -shared -U_FORTIFY_SOURCE \
				-D_FORTIFY_SOURCE=0 -Wno-attributes -o "$stub/${lib%:*}" "testdata/${lib#*:}"
		done
	)
	cat >$runs/tiny.yaml <<-'END'
		model: {arch: {image: 16, patch: 8, channels: 3, hidden: 32, layers: 2, heads: 1, mlp: 64}}
		data: {kind: shapes, size: 16, count: 32, test_count: 16}
		budget: {queries_per_image: 4}
		train: {steps: 3, batch_size: 8, device: cuda}
	END
	on() { env LD_LIBRARY_PATH="$stub" FLOPS_CUBLAS="$stub/libcublas.so.12" FLOPS_CACHE="$stub" "$@"; }
	flops() { on .build/gpu/flops "$@"; }
	train() { dir=$1 && shift && flops train --config $runs/tiny.yaml --output "$runs/$dir" "$@"; }
	# again NAME SETTINGS...: a run that was broken off and goes on, and a replay, have the weights of the run NAME
	again() {
		name=$1 && shift
		says runs/short.out 0 '^checkpoint' train $name-short "$@" --set train.steps=2
		says runs/resume.out 0 '^checkpoint' flops train --resume $runs/$name-short --set train.steps=3
		cmp $runs/$name-short/checkpoints/step-3/model.safetensors $runs/$name/checkpoints/step-3/model.safetensors
		says runs/replay.out 0 . flops replay $runs/$name --to 3 --output $runs/$name-replayed
		cmp $runs/$name-replayed/model.safetensors $runs/$name/checkpoints/step-3/model.safetensors
	}
	says runs/fp32.out 0 '^engine *cuda, host with libcublas.so.12 and Lt (fp32)' train fp32
	says runs/bf16.out 0 '^precision *bf16: 10 of 14 maps' train bf16 --set train.precision=bf16
	for optimizer in sgd muon; do
		says runs/$optimizer.out 0 '^checkpoint' train $optimizer --set train.precision=bf16 --set optimizer.name=$optimizer
	done
	weight="--set train.precision=bf16 --set estimator.name=weight --set allocator.name=uniform"
	says runs/weight.out 0 '^checkpoint' train weight $weight
	says runs/drowned.out 2 'sees noise of weights from 0.001 on' train drowned $weight --set estimator.sigma=1e-4
	says runs/none.out 2 'estimator.surrogate: local' train none --set estimator.surrogate=local
	local="--set sites.blocks=all --set sites.kinds=[residual] --set sites.patch_embed=true --set estimator.surrogate=local"
	says runs/local.out 0 '^checkpoint' train local $local
	says runs/local-bf16.out 0 '^checkpoint' train local-bf16 $local --set train.precision=bf16 --set optimizer.name=muon
	again local $local
	again fp32
	model=$runs/bf16/checkpoints/step-3
	photo=internal/imagefile/testdata/rgb.jpg
	for precision in fp32 bf16; do
		on="--device cuda --precision $precision"
		says runs/eval.out 0 '"images":' flops eval --config $runs/tiny.yaml --checkpoint $model $on --json
		says runs/predict.out 0 "$(basename "$photo")" flops predict --model $model "$photo" $on
		says runs/embed.out 0 . flops embed --model $model --config $runs/tiny.yaml --output $runs/e.npy $on
	done
	address=127.0.0.1:$((20000 + $$ % 20000))
	env LD_LIBRARY_PATH="$stub" FLOPS_CUBLAS="$stub/libcublas.so.12" .build/gpu/flops serve --model $model --addr $address \
		--device cuda --precision bf16 >$runs/serve.out 2>&1 &
	server=$!
	until .build/gpu/flops serve --check --addr $address >/dev/null 2>&1 || ! kill -0 $server 2>/dev/null; do sleep 0.1; done
	cat >$runs/called.yaml <<-END
		model: {kind: remote, url: "http://$address", name: vit}
		data: {kind: shapes, size: 16, count: 32, test_count: 16}
		prompt: {kind: frame, width: 2, mapping: {kind: learned, images: 2}}
		sites: {blocks: none, classifier: false}
		estimator: {name: weight, sigma: 0.05, antithetic: true, exact_output: false, surrogate: none}
		allocator: {name: uniform, min_queries: 2, standardise: false}
		budget: {queries_per_image: 2}
		train: {steps: 1, batch_size: 8}
	END
	says runs/called.out 0 '^checkpoint' .build/gpu/flops train --config $runs/called.yaml --output $runs/called
	kill -TERM $server
	wait $server || true
	says runs/bench.out 0 '"kernel":"cuda, host' flops bench --device cuda --precision bf16 --mode lr --dim 32 --depth 2 --heads 1 \
		--mlp 64 --batch 2 --queries 2 --steps 1 --json
else
	echo "gpu-test: commands on a device: skipped: no C++ compiler ($cxx)"
fi
echo "gpu-test: passed"
