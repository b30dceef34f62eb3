#!/usr/bin/env bash
# Says how many files an addition is: builds flops as if the files of one that is
# there were not. It must build, and know the name no more. (The compiler's overlay
# leaves them out; nothing is moved.)
#
#   scripts/check-seams.sh
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
# without WHAT KEY NAME FILE... : KEY is where NAME is chosen, - where files are read
without() {
  local what=$1 key=$2 name=$3 comma="" f
  shift 3
  {
    printf '{"Replace":{'
    for f in "$@"; do
      [ -f "$f" ] || { echo "seams: $f is not there" >&2; exit 1; }
      printf '%s"%s":""' "$comma" "$PWD/$f"
      comma=,
    done
    printf '}}'
  } >"$out/overlay.json"
  if ! CGO_ENABLED=0 go build -overlay "$out/overlay.json" -o "$out/flops" ./cmd/flops 2>"$out/said"; then
    echo "seams: $what ($name): something else names what is in $*:"
    head -5 "$out/said"
    failed=1
  elif [ "$key" != - ] && "$out/flops" __complete train --set "$key=" 2>/dev/null | grep -qx "$key=$name"; then
    echo "seams: $what ($name): still known without $*"
    failed=1
  else
    echo "seams: $what ($name) is $# file(s): $*"
  fi
}
without "an optimizer" optimizer.name adamw internal/optim/adamw.go
without "an optimizer" optimizer.name muon internal/optim/muon.go internal/optim/orthogonal.go
without "an allocator" allocator.name gaussian internal/allocator/gaussian.go
without "an estimator" estimator.name bp internal/lr/bp.go
without "an objective" objective.kind accuracy internal/objective/accuracy.go
without "a metric" train.metrics ece internal/metric/ece.go
without "a network family" - BEiT internal/vit/family_beit.go internal/hf/family_beit.go
without "a network family" - DINO internal/vit/family_dino.go internal/hf/family_dino.go
without "a kind of device" train.device cuda internal/device/cuda.go
exit $failed
