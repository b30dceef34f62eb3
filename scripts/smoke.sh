#!/usr/bin/env bash
# Runs every shipped config, or those given, for a few steps. One that names a CLIP, which nobody ships,
# runs on the tiny one of testdata, one that calls a model on a server of ours, both on
# drawn images. Another whose data or model is not on this machine is skipped, with a line
# that says so.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$out"' EXIT

# serve sets address to that of a server of a model of drawn images, which it makes first.
serve() {
  bin/flops train --config configs/demo.yaml --smoke --output "$out/served" >"$out/served.log" 2>&1
  bin/flops serve --model "$out/served/checkpoints/last" --addr 127.0.0.1:0 --name served --log none >"$out/server.log" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    address=$(sed -nE 's|^serving .* at (http://[^/]+)/.*|\1|p' "$out/server.log")
    [ -z "$address" ] || return 0
    sleep 0.1
  done
  cat "$out/server.log"
  echo "smoke: no server came up"
  return 1
}

[ $# -gt 0 ] || set -- configs/*.yaml
for c; do
  name=$(basename "$c" .yaml)
  small=()
  drawn=(--set data.kind=shapes --set data.path= --set data.count=64 --set data.test_count=32)
  if grep -q 'kind: *remote' "$c"; then
    [ -n "$server" ] || serve
    small=("${drawn[@]}" --set data.size=32 --set "data.classes=[disc, cross, rows]" --set "model.url=$address" --set model.name=served)
  elif grep -q CLIP_PATH "$c"; then
    small=("${drawn[@]}" --set data.size=8 --set model.path=testdata/texts/clip)
  fi
  absent=$(bin/flops config show --config "$c" ${small[@]+"${small[@]}"} | awk '/^[a-z]/ {section=$1} $1 == "path:" && (section == "data:" || section == "model:") && $2 != "\"\"" {print $2}' |
    while read -r p; do [ -e "$p" ] || echo "$p"; done)
  if [ -n "$absent" ]; then
    echo "smoke: $name skipped, not on this machine: $(echo "$absent" | tr '\n' ' ')"
    continue
  fi
  if grep -q 'kind: *contrastive' "$c"; then
    small+=(--set "objective.embeddings=$out/$name.safetensors")
    bin/flops embed --texts --config "$c" --output "$out/$name.safetensors" >/dev/null
  fi
  bin/flops train --config "$c" --smoke ${small[@]+"${small[@]}"} --output "$out/$name" >"$out/$name.log" 2>&1 || { cat "$out/$name.log"; echo "smoke: $name failed"; exit 1; }
  echo "smoke: $name ok"
done
