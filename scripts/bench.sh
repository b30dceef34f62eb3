#!/usr/bin/env bash
# Times the engine and other ones at the same work, in turn in one run, and prints
# ratios. An absolute time means little on a shared machine; a ratio of neighbours
# means more. The others are PyTorch (eager, compiled, in bf16), ONNX Runtime and
# OpenVINO (float32, bf16), from what `make clients` installed into .build; those that
# are not there are left out, and said.
#
# usage: scripts/bench.sh [RUNS [ROWS]]   ROWS: regular expression of the rows' names
#        FLOPS_SHARED: folder with peer/flops_torch.py, for lr, spsa and bp in PyTorch
#        PYTHON: interpreter that has them    THREADS: 2
set -eu
cd "$(dirname "$0")/.."
runs=${1:-5} rows=${2:-.} threads=${THREADS:-2}
peer=${FLOPS_SHARED:-../shared}/peer/flops_torch.py
python=${PYTHON:-}
if [ -z "$python" ]; then
  python=.build/clients/bin/python
  [ -x "$python" ] || python=$(command -v python3 || echo none)
fi
[ -x bin/flops ] || make build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
has() { "$python" -c "import $1" 2>/dev/null; }
engines=""
for e in torch onnxruntime openvino; do if has $e; then engines="$engines $e"; else echo "$e is not here (make clients): left out"; fi; done
field() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p"; }
median() { tr ' ' '\n' | grep . | sort -n | awk '{v[NR]=$1} END {print NR ? v[int((NR+1)/2)] : 0}'; }
say() { printf '%-24s %-22s %12.1f %8s %8s\n' "$1" "$2" "$3" "$4" "$5"; }
asked() { grep -qE -- "$rows" <<<"$1"; }

# network SHAPES...: an ONNX file of these shapes, of a network that was just made
network() {
  local dim=128 depth=6 heads=4 mlp=512 image=32 patch=4
  while [ $# -gt 1 ]; do
    case $1 in --dim) dim=$2 ;; --depth) depth=$2 ;; --heads) heads=$2 ;; --mlp) mlp=$2 ;; --image) image=$2 ;; --patch) patch=$2 ;; esac
    shift 2
  done
  cat >"$work/new.yaml" <<YAML
model: {arch: {image: $image, patch: $patch, channels: 3, hidden: $dim, layers: $depth, heads: $heads, mlp: $mlp}}
data: {kind: shapes, size: $image, count: 4, test_count: 4}
sites: {blocks: none, params: []}
estimator: {name: bp}
train: {steps: 1, batch_size: 4}
YAML
  rm -rf "$work/new"
  bin/flops train --config "$work/new.yaml" --output "$work/new" >/dev/null
  bin/flops model export "$work/new/checkpoints/last" "$work/net.onnx" >/dev/null
}

# forward NAME SHAPES...: images per second of every engine
forward() {
  local name=$1 line k; shift
  asked "$name" || return 0
  local kinds="ours/fp32 ours/bf16"
  for e in $engines; do
    case $e in
      torch) kinds="$kinds torch/fp32 compiled/fp32 torch/bf16 compiled/bf16" ;;
      onnxruntime) kinds="$kinds onnxruntime/fp32" ;;
      openvino) kinds="$kinds openvino/fp32 openvino/bf16" ;;
    esac
  done
  if grep -qE 'onnxruntime|openvino' <<<"$engines"; then network "$@"; fi
  rm -f "$work"/rate.*
  for _ in $(seq "$runs"); do
    for k in $kinds; do
      local engine=${k%/*} precision=${k#*/} at="$work/rate.${k/\//.}"
      if [ "$engine" = ours ]; then
        line=$(bin/flops bench --json --mode forward --threads "$threads" --precision "$precision" "$@")
        field queries_per_s <<<"$line" >>"$at"; field peak_fraction <<<"$line" >"$at.share"
      else
        line=$("$python" -W ignore scripts/peers/forward.py "$engine" "$precision" --threads "$threads" --onnx "$work/net.onnx" "$@" 2>"$work/err" || true)
        if [ -z "$line" ]; then echo "$name: $k failed: $(tail -n 1 "$work/err")"; continue; fi
        field images_per_s <<<"$line" >>"$at"
      fi
      field peak_mib <<<"$line" >"$at.mib"
    done
  done
  for k in $kinds; do
    local at="$work/rate.${k/\//.}"
    [ -s "$at" ] || continue
    say "$name" "${k/\// }" "$(median <"$at")" "$(cat "$at.share" 2>/dev/null || echo -)" "$(cat "$at.mib")"
  done
}

# learn NAME MODE ARGS...: queries per second beside PyTorch's, the best of its threads
learn() {
  local name=$1 mode=$2 line best q t; shift 2
  asked "$name" || return 0
  : >"$work/ours"; : >"$work/torch"
  for _ in $(seq "$runs"); do
    line=$(bin/flops bench --json --threads "$threads" --mode "$mode" "$@")
    field queries_per_s <<<"$line" >>"$work/ours"; field peak_mib <<<"$line" >"$work/mib"; field peak_fraction <<<"$line" >"$work/share"
    if grep -q torch <<<"$engines" && [ -f "$peer" ]; then
      best=0
      for t in 1 "$threads"; do
        line=$(OMP_NUM_THREADS=$t "$python" "$peer" "$mode" --threads "$t" "$@")
        q=$(field queries_per_s <<<"$line"); field peak_mib <<<"$line" >"$work/torch.mib"
        best=$(echo "$best $q" | awk '{print ($2>$1)?$2:$1}')
      done
      echo "$best" >>"$work/torch"
    fi
  done
  say "$name" "ours fp32" "$(median <"$work/ours")" "$(cat "$work/share")" "$(cat "$work/mib")"
  if [ -s "$work/torch" ]; then say "$name" "torch fp32" "$(median <"$work/torch")" - "$(cat "$work/torch.mib")"; fi
  if [ "$mode" = lr ]; then
    line=$(bin/flops bench --json --threads "$threads" --mode lr --precision bf16 "$@")
    say "$name" "ours bf16" "$(field queries_per_s <<<"$line")" "$(field peak_fraction <<<"$line")" "$(field peak_mib <<<"$line")"
  fi
}
vitb="--dim 768 --depth 12 --heads 12 --mlp 3072 --image 224 --patch 16 --batch 8"
bin/flops version | sed -n '2,3p'
printf '%-24s %-22s %12s %8s %8s\n' "medians of $runs" engine "per second" "of peak" MiB
forward forward
learn "lr, 20 queries" lr
learn "lr, --tune 3" lr --tune 3
learn spsa spsa
learn bp bp
forward "forward, ViT-B/16" $vitb
learn "lr, ViT-B/16" lr $vitb
