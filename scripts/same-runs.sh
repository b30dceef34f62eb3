#!/usr/bin/env bash
# Says whether two versions of flops train alike, bit for bit: a short run of
# every shipped config, and of every estimator, schedule, allocator and optimizer,
# by bin/flops and by the program of another commit. Weights, optimizer state,
# journal and metrics must have the same bytes, the ledger the same counts
# (seconds apart). Run it before and after a change of shape alone.
#
#   scripts/same-runs.sh COMMIT
set -euo pipefail
cd "$(dirname "$0")/.."
rev=$(git rev-parse --verify "${1:?give the commit to compare with}^{commit}")
old=$PWD/.build/same-runs/flops-$rev
out=$(mktemp -d)
trap 'git worktree remove --force "$out/tree" 2>/dev/null || true; rm -rf "$out"' EXIT
if [ ! -x "$old" ]; then
  mkdir -p "$(dirname "$old")"
  git worktree add --detach --quiet "$out/tree" "$rev"
  (cd "$out/tree" && CGO_ENABLED=0 go build -trimpath -o "$old" ./cmd/flops)
fi
CGO_ENABLED=0 go build -trimpath -o "$out/flops" ./cmd/flops

failed=0
# facts RUN prints a digest of everything in a run that must not differ.
facts() {
  (cd "$1" && sha256sum metrics.jsonl journal.bin checkpoints/step-*/*.safetensors && grep -v '"seconds"' ledger.json)
}
# compare NAME ARGUMENTS... trains twice and tells whether the runs are the same.
compare() {
  local name=$1
  shift
  for which in old new; do
    local program=$out/flops
    [ $which = old ] && program=$old
    if ! "$program" train "$@" --smoke --output "$out/$which/$name" >"$out/$which.log" 2>&1; then
      echo "same-runs: $name: the $which program ended with: $(grep -m1 error "$out/$which.log")"
      rm -rf "$out/old/$name" "$out/new/$name"
      [ $which = old ] && return # what the old program cannot do, the new one need not do alike
      failed=1
      return
    fi
    facts "$out/$which/$name" >"$out/$which.facts"
  done
  if cmp -s "$out/old.facts" "$out/new.facts"; then
    echo "same-runs: $name: the same"
  else
    echo "same-runs: $name differs:"
    diff "$out/old.facts" "$out/new.facts" | head -12 || true # they differ
    failed=1
  fi
  rm -rf "$out/old/$name" "$out/new/$name"
}
mkdir -p "$out/old" "$out/new"
for c in configs/*.yaml; do
  if grep -q 'kind: *remote' "$c"; then continue; fi
  texts=()
  if grep -q 'kind: *contrastive' "$c"; then
    texts=(--set "objective.embeddings=$out/texts.safetensors")
    "$old" embed --texts --config "$c" --output "$out/texts.safetensors" >/dev/null 2>&1 || continue
  fi
  compare "$(basename "$c" .yaml)" --config "$c" ${texts[@]+"${texts[@]}"}
done
demo() { # NAME KEY=VALUE...
  local name=$1 sets=()
  shift
  for s in "$@"; do sets+=(--set "$s"); done
  compare "$name" --config configs/demo.yaml "${sets[@]}"
}
for schedule in per_site joint random_site; do
  for antithetic in true false; do
    demo "activation-$schedule-$antithetic" estimator.schedule=$schedule estimator.antithetic=$antithetic
    demo "activation-$schedule-$antithetic-unmasked" estimator.schedule=$schedule estimator.antithetic=$antithetic estimator.structural_mask=false
  done
done
for schedule in all tensor; do
  demo "weight-$schedule" estimator.name=weight estimator.schedule=$schedule
  demo "weight-$schedule-one" estimator.name=weight estimator.schedule=$schedule estimator.antithetic=false
done
demo bp estimator.name=bp estimator.schedule=
for allocator in uniform gaussian neyman gaussian_released bernoulli; do demo "allocator-$allocator" allocator.name=$allocator; done
for optimizer in sgd adamw muon; do demo "optimizer-$optimizer" optimizer.name=$optimizer; done
for noise in rademacher gaussian; do demo "noise-$noise" estimator.noise=$noise; done
for qmc in sobol halton; do demo "qmc-$qmc" estimator.qmc=$qmc; done
demo accuracy objective.kind=accuracy
demo sigma estimator.learn_sigma=true
demo params 'sites.params=[norm, cls_token, position]'
demo tokens prompt.kind=tokens prompt.count=2
exit $failed
