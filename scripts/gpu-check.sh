#!/bin/sh
# Check and measure the CUDA part on a machine with a GPU.
#
#   scripts/gpu-check.sh --pack   where Go is: build what the check runs, into
#                                 .build/gpu-check
#   scripts/gpu-check.sh          where the GPU is: run everything and print a
#                                 table. Needs the repository with that folder
#                                 and an NVIDIA driver; no Go and no toolkit.
#
# It runs, in order: the parity tests of internal/cuda on the GPU (kernels
# against references; logits, losses, differences of pairs, gradients and twenty
# steps of training against the CPU), the steps forward, lr and spsa of ViT-B/16
# at batch 256 and 20 queries in every precision, PyTorch's where python3 has
# it, and compute-sanitizer where it is installed, each tool for LIMIT seconds
# (default 40) at most. Everything is kept under
# OUT (default .build/gpu-check/results). The exit status is 1 when a test or
# the sanitizer fails; a missing tool is a line in the table.
#
#   DEVICE=cuda:1           another GPU        BATCH=64  another batch
#   PEER=path/flops_torch.py                   OUT=folder
#   SIZE=tiny               steps of a tiny network, to try the script itself
set -eu
cd "$(dirname "$0")/.."
pack=.build/gpu-check

if [ "${1:-}" = --pack ]; then
	CGO_ENABLED=0 go run ./internal/cuda/gen -out .build/gpu
	. scripts/gpu-env.sh
	mkdir -p "$pack"
	go test -c -tags gpu -trimpath -ldflags '-s -w' -o "$pack/cuda.test" ./internal/cuda
	go build -tags gpu -trimpath -ldflags '-s -w' -o "$pack/probe" ./internal/cuda/probe
	echo "packed $pack: carry the repository with it, and run scripts/gpu-check.sh there"
	exit
fi

for f in cuda.test probe; do
	if [ ! -x "$pack/$f" ]; then
		echo "gpu-check: $pack/$f is missing: run scripts/gpu-check.sh --pack where Go is" >&2
		exit 2
	fi
done
device=${DEVICE:-cuda}
batch=${BATCH:-256}
limit=${LIMIT:-40}
size=${SIZE:-vit-b16}
peer=${PEER:-../shared/peer/flops_torch.py}
out=${OUT:-$pack/results}
mkdir -p "$out"
root=$PWD
case $out in /*) ;; *) out=$root/$out ;; esac
table=$out/table.txt
: >"$table"
failed=0
row() { printf '%-34s %s\n' "$1" "$2" >>"$table"; }

# value of a key in a line of JSON
json() { sed -n "s/.*\"$2\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" "$1" | tail -n 1; }

if ! "$pack/probe" "$device" >"$out/probe.txt" 2>&1; then
	cat "$out/probe.txt"
	exit 1
fi
row device "$(cat "$out/probe.txt")"
row driver "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)"

# PyTorch brings a cuBLAS of its own; compare with the same one where the system
# has none.
if [ -z "${FLOPS_CUBLAS:-}" ] && command -v python3 >/dev/null 2>&1; then
	FLOPS_CUBLAS=$(python3 -c 'import glob, site, sys
for p in site.getsitepackages() + [site.getusersitepackages()] + sys.path:
    for f in sorted(glob.glob(p + "/nvidia/*/lib/libcublas.so.1[23]"), reverse=True):
        print(f); sys.exit()' 2>/dev/null || true)
	if [ -n "$FLOPS_CUBLAS" ]; then
		export FLOPS_CUBLAS
	else
		unset FLOPS_CUBLAS
	fi
fi

run() { (cd internal/cuda && FLOPS_TEST_DEVICE=$device "$root/$pack/cuda.test" "$@"); }

if run -test.v >"$out/parity.txt" 2>&1; then
	row parity "passed: $(grep -c '^--- PASS' "$out/parity.txt") tests"
else
	row parity "FAILED: $(grep -c '^ *--- FAIL' "$out/parity.txt") tests, see parity.txt"
	failed=1
fi

for precision in fp32 tf32 bf16; do
	if FLOPS_BENCH=$size FLOPS_BENCH_BATCH=$batch FLOPS_BENCH_PRECISION=$precision run -test.v -test.run '^TestSteps$' >"$out/steps-$precision.txt" 2>&1; then
		for mode in forward lr spsa; do
			grep "\"mode\":\"$mode\"" "$out/steps-$precision.txt" >"$out/$mode-$precision.json" || continue
			row "$mode $precision" "$(json "$out/$mode-$precision.json" queries_per_s) queries/s, step $(json "$out/$mode-$precision.json" seconds) s, kernels $(json "$out/$mode-$precision.json" kernel_seconds) s"
		done
		row "engine $precision" "$(json "$out/forward-$precision.json" device)"
	else
		row "steps $precision" "FAILED, see steps-$precision.txt"
		failed=1
	fi
done

if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null && [ -f "$peer" ]; then
	for mode in forward lr spsa; do
		if (cd "$(dirname "$peer")" && python3 "$(basename "$peer")" "$mode" --device cuda --tf32 --dim 768 --depth 12 --heads 12 --mlp 3072 \
			--image 224 --patch 16 --classes 1000 --batch "$batch" --queries 20 --steps 5) >"$out/torch-$mode.json" 2>"$out/torch-$mode.err"; then
			theirs=$(json "$out/torch-$mode.json" queries_per_s)
			ours=$(json "$out/$mode-tf32.json" queries_per_s)
			row "PyTorch $mode tf32" "$theirs queries/s; ours is $(awk -v a="${ours:-0}" -v b="$theirs" 'BEGIN {printf "%.2f", a / b}') of it"
		else
			row "PyTorch $mode tf32" "did not run, see torch-$mode.err"
		fi
	done
else
	row PyTorch "not here, or it has no GPU"
fi

if command -v compute-sanitizer >/dev/null 2>&1; then
	for tool in memcheck racecheck initcheck synccheck; do
		if (cd internal/cuda && FLOPS_TEST_DEVICE=$device timeout "$limit" compute-sanitizer --tool "$tool" --error-exitcode 1 \
			"$root/$pack/cuda.test" -test.short -test.run 'Gemm|Attention|Softmax|LayerNorm|Sums|Perturb|NoiseSum|Joint|Backward') >"$out/$tool.txt" 2>&1; then
			row "compute-sanitizer $tool" clean
		elif [ $? -eq 124 ]; then
			row "compute-sanitizer $tool" "nothing found in $limit s, not finished"
		else
			row "compute-sanitizer $tool" "FAILED, see $tool.txt"
			failed=1
		fi
	done
else
	row compute-sanitizer "not installed"
fi

cat "$table"
exit $failed
