#!/usr/bin/env bash
# Runs every shipped config for a few steps. A config whose data or model is not
# on this machine is skipped, with a line that says so.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for c in configs/*.yaml; do
  name=$(basename "$c" .yaml)
  if grep -q 'kind: *remote' "$c"; then
    bin/flops config validate --config "$c" >/dev/null
    echo "smoke: $name needs a server; validated only"
    continue
  fi
  absent=$(bin/flops config show --config "$c" | awk '/^[a-z]/ {section=$1} $1 == "path:" && (section == "data:" || section == "model:") && $2 != "\"\"" {print $2}' |
    while read -r p; do [ -e "$p" ] || echo "$p"; done)
  if [ -n "$absent" ]; then
    echo "smoke: $name skipped, not on this machine: $(echo "$absent" | tr '\n' ' ')"
    continue
  fi
  texts=()
  if grep -q 'kind: *contrastive' "$c"; then
    texts=(--set "objective.embeddings=$out/$name.safetensors")
    bin/flops embed --texts --config "$c" --output "$out/$name.safetensors" >/dev/null
  fi
  bin/flops train --config "$c" --smoke ${texts[@]+"${texts[@]}"} --output "$out/$name" >"$out/$name.log" 2>&1 || { cat "$out/$name.log"; echo "smoke: $name failed"; exit 1; }
  echo "smoke: $name ok"
done
