#!/usr/bin/env bash
# Makes the tables of docs/results.md again: the variance of the gradient by
# allocator, accuracy at equal queries, and the ablation of the Gaussian
# allocator's parameters.
# usage: scripts/reproduce.sh [--short] [OUTPUT]
#   full    configs/cifar5.yaml, SEEDS seeds (default 3): an hour on two cores;
#           begun again, it goes on where it was
#   --short the same commands, shrunk: two minutes, which is what CI runs
# It needs models/vit-cifar5 and data/cifar5 under FLOPS_SHARED (docs/tutorial.md, "The
# CIFAR run"). Without them --short takes configs/demo.yaml, whose images are
# drawn, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
short=
if [ "${1:-}" = --short ]; then
  short=1
  shift
fi
out=${1:-runs/reproduce${short:+-short}}
seeds=${SEEDS:-3}
shared=${FLOPS_SHARED:-../shared}
config=configs/cifar5.yaml
if ! [ -d "$shared/models/vit-cifar5" ] || ! [ -d "$shared/data/cifar5" ]; then
  if [ -z "$short" ]; then
    echo "reproduce: error: no models/vit-cifar5 and data/cifar5 under $shared" >&2
    echo "reproduce: hint: make them as docs/tutorial.md says under 'The CIFAR run', and set FLOPS_SHARED" >&2
    exit 2
  fi
  config=configs/demo.yaml
  echo "reproduce: no models/vit-cifar5 and data/cifar5 under $shared: taking $config"
fi
[ -x bin/flops ] || make build
if [ -n "$short" ]; then rm -rf "$out"; fi
mkdir -p "$out"
began=$SECONDS

part() { # NAME COMMAND...: runs a command, shows it and keeps what it said
  local name=$1
  shift
  echo
  echo "\$ $*"
  "$@" 2>&1 | tee "$out/$name.txt"
}

steps=100 draws=30 pairs=64 batches=3 share=20
if [ -n "$short" ]; then steps=10 draws=6 pairs=16 batches=1 share=8; fi
variance=(--config "$config" --set allocator.name=uniform --set "budget.queries_per_image=$share")
if ! [ -e "$out/variance.txt" ]; then
  rm -rf "$out/variance"
  part train bin/flops train "${variance[@]}" --output "$out/variance" --set "train.steps=$steps" --set train.eval_every=0 --set "checkpoint.every=$steps"
  part variance.part bin/flops allocate-report "${variance[@]}" --checkpoint "$out/variance/checkpoints/step-$steps" \
    --batches "$batches" --draws "$draws" --pairs "$pairs" --output "$out/variance-report"
  mv "$out/variance.part.txt" "$out/variance.txt"
fi

# The same for the Gaussian allocator with one parameter frozen at a time.
for frozen in "[w0]" "[w1]" "[w2]" "[w3]" "[w0, w1, w2, w3]"; do
  name=variance-frozen-$(tr -dc 0-9 <<<"$frozen")
  if [ -n "$short" ] && [ "$frozen" != "[w1]" ] || [ -e "$out/$name.txt" ]; then continue; fi
  part "$name.part" bin/flops allocate-report "${variance[@]}" --checkpoint "$out/variance/checkpoints/step-$steps" \
    --batches "$batches" --draws "$draws" --pairs "$pairs" --allocators gaussian --set "allocator.freeze=$frozen"
  mv "$out/$name.part.txt" "$out/$name.txt"
done

if [ -n "$short" ]; then
  part arms bin/flops compare --config "$config" --arms configs/arms/paper.yaml --seeds 2 --points 2 --smoke --output "$out/arms"
  part ablation bin/flops compare --config "$config" --arms configs/arms/ablation.yaml --seeds 2 --points 2 --smoke --output "$out/ablation"
  part accuracy bin/flops compare --config "$config" --arms uniform,neyman,bp --queries 30000 --seeds 2 --points 2 --set train.eval_images=300 --output "$out/accuracy"
else
  part allocators bin/flops compare --config "$config" --arms configs/arms/allocators.yaml --seeds "$seeds" \
    --set train.steps=100 --set budget.queries_per_image=20 --output "$out/allocators"
  part ablation bin/flops compare --config "$config" --arms configs/arms/ablation.yaml --seeds "$seeds" \
    --set train.steps=100 --set budget.queries_per_image=20 --output "$out/ablation"
  part accuracy bin/flops compare --config "$config" --arms configs/arms/paper.yaml --seeds "$seeds" --output "$out/accuracy"
fi

# A table that lacks an arm, or a control that is not 1, is a failure.
for name in uniform gaussian gaussian_released bernoulli neyman; do
  grep -q "^$name  *[0-9]" "$out/variance.txt" || { echo "reproduce: $name is not in $out/variance.txt" >&2; exit 1; }
done
for table in accuracy ablation; do
  grep -q '^uniform .*[0-9] ±' "$out/$table.txt" || { echo "reproduce: no table in $out/$table.txt" >&2; exit 1; }
done
echo
echo "reproduce: done in $((SECONDS - began)) s; tables and reports are in $out"
