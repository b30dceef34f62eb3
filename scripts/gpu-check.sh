#!/bin/sh
# Check and measure the CUDA part on a machine with a GPU.
#
#   scripts/gpu-check.sh --pack   where Go is: build what the check runs, into
#                                 .build/gpu-check
#   scripts/gpu-check.sh          where the GPU is: run everything and print a
#                                 table. Needs the repository with that folder
#                                 and an NVIDIA driver; no Go and no toolkit.
#
# In order, the most important first, each with its own limit and all together
# within TOTAL seconds (default 290; what has no time left says so):
#
#   steps        forward, lr and spsa of ViT-B/16 at batch 256 and 20 queries in bf16,
#                with the memory that was forecast; should that fail, bf16 by single
#                maps (plain)
#   runs         whole steps of training with loader, allocator and optimizer, the
#                share of them that is kernels, and a small run beside the processor's
#   local        the same of local feedback at all blocks' outputs, one query an image,
#                in every precision
#   PyTorch      the steps (scripts/gpu-peer.py), where python3 has it
#   parity       the tests of internal/cuda on the GPU
#   precision    logits and coefficients of queries against fp32 on the same GPU
#   steps        in bf16 with the library's GELU, tf32 and fp32
#   sanitizers   compute-sanitizer where it is installed, LIMIT seconds (default 15)
#                each; racecheck, which is slow, test by test
#
# Rows are printed as they come, and the tables of docs/gpu.md at the end; everything
# is kept under OUT (default .build/gpu-check/results). The exit status is 1 when
# something fails; a missing tool is a line.
#
#   DEVICE=cuda:1   another GPU        BATCH=64   another batch
#   SIZE=tiny       a tiny network, to try the script itself
set -u
cd "$(dirname "$0")/.."
pack=.build/gpu-check

if [ "${1:-}" = --pack ]; then
	set -e
	CGO_ENABLED=0 go run ./internal/cuda/gen -out .build/gpu
	. scripts/gpu-env.sh
	rm -rf "$pack"
	mkdir -p "$pack"
	go test -c -tags gpu -trimpath -ldflags '-s -w' -o "$pack/cuda.test" ./internal/cuda
	gzip -9 -f "$pack/cuda.test"
	du -sh "$pack"
	echo "packed $pack: carry the repository with it, and run scripts/gpu-check.sh there"
	exit
fi

if [ ! -f "$pack/cuda.test.gz" ]; then
	echo "gpu-check: $pack/cuda.test.gz is missing: run scripts/gpu-check.sh --pack where Go is" >&2
	exit 2
fi
device=${DEVICE:-cuda}
batch=${BATCH:-256}
limit=${LIMIT:-15}
size=${SIZE:-vit-b16}
out=${OUT:-$pack/results}
mkdir -p "$out"
root=$PWD
case $out in /*) ;; *) out=$root/$out ;; esac
gzip -dc "$pack/cuda.test.gz" >"$out/cuda.test" && chmod +x "$out/cuda.test" || exit 2
began=$(date +%s)
total=${TOTAL:-290}
failed=0
: >"$out/lines.json"

# left SECONDS is what a part that may take so long has.
left() {
	rest=$((total - $(date +%s) + began))
	if [ "$rest" -lt "$1" ]; then echo "$rest"; else echo "$1"; fi
}
row() { printf '%4d s  %-26s %s\n' "$(($(date +%s) - began))" "$1" "$2"; }

# part NAME SECONDS COMMAND... keeps what a command says in NAME.txt, and its lines of
# JSON in lines.json.
part() {
	name=$1
	seconds=$(left "$2")
	shift 2
	if [ "$seconds" -lt 5 ]; then
		row "$name" "no time left"
		return 0
	fi
	timeout "$seconds" "$@" >"$out/$name.txt" 2>&1
	status=$?
	grep '^{' "$out/$name.txt" >>"$out/lines.json"
	case $status in
	0) row "$name" "passed" ;;
	124) row "$name" "not finished in $seconds s" ;;
	*)
		row "$name" "FAILED, see $name.txt"
		grep -h -- '--- FAIL\|_test.go:\|Error\|panic' "$out/$name.txt" | head -n 12
		failed=1
		;;
	esac
	return "$status"
}
# tests ARGUMENTS... runs the tests on the GPU; SANITIZER is put before them.
cat >"$out/tests.sh" <<END
cd "$root/internal/cuda" && exec \${SANITIZER:-} "$out/cuda.test" "\$@"
END
tests() { name=$1 seconds=$2 && shift 2 && part "$name" "$seconds" sh "$out/tests.sh" "$@"; }
export FLOPS_TEST_DEVICE="$device" FLOPS_BENCH_BATCH="$batch"

if ! sh "$out/tests.sh" -test.v -test.run '^TestProbe$' >"$out/probe.txt" 2>&1; then
	cat "$out/probe.txt"
	exit 1
fi
row device "$(sed -n 's/^device: //p' "$out/probe.txt"), driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)"

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

export FLOPS_BENCH="$size"

# steps PRECISION SECONDS [WAY]
steps() {
	FLOPS_BENCH_PRECISION=$1 FLOPS_BENCH_WAY=${3:-} && export FLOPS_BENCH_PRECISION FLOPS_BENCH_WAY
	name="steps-$1${3:+-$3}" seconds=$2 status=0
	tests "$name" "$seconds" -test.v -test.run '^TestSteps$' || status=$?
	unset FLOPS_BENCH_PRECISION FLOPS_BENCH_WAY
	return $status
}
steps bf16 45 || steps bf16 45 plain
tests runs 75 -test.v -test.run '^TestRuns$'
tests local 60 -test.v -test.run '^TestLocalRuns$'
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
	part torch 80 python3 scripts/gpu-peer.py --batch "$batch" --size "$size"
else
	row PyTorch "not here, or it has no GPU"
fi
unset FLOPS_BENCH
tests parity 60 -test.v && row parity "$(grep -c '^--- PASS' "$out/parity.txt") tests"
export FLOPS_BENCH="$size"
tests precision 30 -test.v -test.run '^TestPrecision$'
steps bf16 20 tanh
steps tf32 30
steps fp32 40
unset FLOPS_BENCH
if command -v compute-sanitizer >/dev/null 2>&1; then
	# sanitize NAME TOOL TESTS
	sanitize() {
		SANITIZER="compute-sanitizer --report-api-errors no --tool $2 --error-exitcode 1"
		export SANITIZER
		tests "$1" "$limit" -test.short -test.run "$3"
	}
	for tool in memcheck initcheck synccheck; do
		sanitize $tool $tool 'Half|Noisy|Levels|Gemm|Attention|Softmax|LayerNorm|Sums|Perturb|WeightsNoise|Held'
	done
	for test in NoisyRow WeightsNoise Sums Guided HeldStepOfNoNumber Softmax AttentionRow HalfAttention; do
		sanitize "racecheck-$test" racecheck "^Test$test"
	done
else
	row compute-sanitizer "not installed"
fi

# value KEY of a line of JSON on standard input
value() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -n 1; }
ours() { grep "\"mode\":\"$1\",\"precision\":\"$2\"" "$out/lines.json" | value "$3"; }
theirs() { sed 's/": /":/g; s/, "/,"/g' "$out/lines.json" | grep "\"mode\":\"$1\",\"way\":\"$2\"" | value queries_per_s; }
whole() { awk -v v="$1" 'BEGIN { if (v == "") print "–"; else printf "%.0f", v }'; }
both() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "" || b == "") print "–"; else printf "%.2f, %.2f", a, b }'; }
small() { awk -v v="$1" -v by="${2:-1}" 'BEGIN { if (v == "") print "–"; else printf "%.3g", v * by }'; }
{
	echo
	columns="fp32 tf32 bf16 bf16-tanh"
	[ -n "$(ours forward 'bf16 plain' queries)" ] && columns="$columns bf16-plain"
	echo "| queries/s (kernels alone) | ours $(echo "$columns" | sed 's/-/, /g; s/ bf16/ | bf16/g; s/ tf32/ | tf32/') | PyTorch tf32 | bf16 | bf16 compiled |"
	echo "|---$(echo "$columns" | sed 's/[^ ]*/|---/g; s/ //g')|---|---|---|"
	for mode in forward lr spsa; do
		line="| $mode |"
		for precision in $columns; do
			precision=$(echo "$precision" | tr - ' ')
			n=$(ours $mode "$precision" queries) k=$(ours $mode "$precision" kernel_seconds)
			alone=$(awk -v n="${n:-0}" -v k="${k:-0}" 'BEGIN { if (k > 0) printf "%.0f", n / k; else print "–" }')
			line="$line $(whole "$(ours $mode "$precision" queries_per_s)") ($alone) |"
		done
		for way in 'tf32 eager' 'bf16 eager' 'bf16 compiled'; do
			line="$line $(whole "$(theirs $mode "$way")") |"
		done
		echo "$line"
	done
	echo
	echo "| GiB of memory, forecast and taken | fp32 | tf32 | bf16 |"
	echo "|---|---|---|---|"
	for mode in forward lr spsa; do
		line="| $mode |"
		for precision in fp32 tf32 bf16; do
			line="$line $(both "$(ours $mode $precision memory_gib)" "$(ours $mode $precision measured_gib)") |"
		done
		echo "$line"
	done
	echo
	echo "| against fp32 on this GPU | tf32 | bf16 |"
	echo "|---|---|---|"
	echo "| logits off by | $(small "$(ours precision tf32 logits_off)") | $(small "$(ours precision bf16 logits_off)") |"
	echo "| c of pairs off by | $(small "$(ours precision tf32 c_off)") | $(small "$(ours precision bf16 c_off)") |"
	echo
	echo "| a run, batch 64, 8 queries (local: 1) | queries/s | a step, ms | its kernels, ms | start, s |"
	echo "|---|---|---|---|---|"
	for mode in 'last block' 'all blocks' local weight; do
		for precision in bf16 tf32 fp32; do
			[ -n "$(ours "$mode" $precision seconds)" ] || continue
			echo "| $mode, $precision | $(whole "$(ours "$mode" $precision queries_per_s)") | $(small "$(ours "$mode" $precision seconds)" 1000) |" \
				"$(small "$(ours "$mode" $precision kernel_seconds)" 1000) | $(small "$(ours "$mode" $precision start_seconds)") |"
		done
	done
	for mode in '' ', local'; do
		echo "| loss after 10 steps, fp32$mode | $(ours "the processor's$mode" fp32 loss), the processor's $(ours "the processor's$mode" fp32 cpu_loss) | | | |"
	done
	echo
	sed -n 's/.*"device":"\([^"]*\)".*/\1/p' "$out/lines.json" | sort -u
} | tee "$out/table.md"
rm -f "$out/cuda.test"
exit $failed
