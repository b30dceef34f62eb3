#!/usr/bin/env bash
# Runs every shipped config, or those given, for a few steps. One that names a CLIP, which nobody ships,
# runs on the tiny one of testdata, one that calls a model on a server of ours, both on
# drawn images. Another whose data or model is not on this machine is skipped, with a line
# that says so.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server-env.sh

# serve sets address to that of a server of a model of drawn images, which it makes first.
serve() {
  bin/flops train --config configs/demo.yaml --smoke --output "$work/served" >"$work/served.log" 2>&1
  bin/flops serve --model "$work/served/checkpoints/last" --addr 127.0.0.1:0 --name served --log none >"$work/server.log" 2>&1 &
  server=$!
  address=$(listening "$work/server.log") || { cat "$work/server.log"; echo "smoke: no server came up"; return 1; }
}

[ $# -gt 0 ] || set -- configs/*.yaml
for c; do
  name=$(basename "$c" .yaml)
  small=()
  drawn=(--set data.kind=shapes --set data.path= --set data.count=64 --set data.test_count=32)
  if grep -q 'kind: *remote' "$c"; then
    [ -n "$server" ] || serve
    small=("${drawn[@]}" --set data.size=32 --set "data.classes=[disc, cross, rows]" --set "model.url=http://$address" --set model.name=served)
  elif grep -q CLIP_PATH "$c"; then
    small=("${drawn[@]}" --set data.size=8 --set model.path=testdata/texts/clip)
  fi
  absent=$(absent --config "$c" ${small[@]+"${small[@]}"})
  if [ -n "$absent" ]; then
    echo "smoke: $name skipped, not on this machine: $(echo "$absent" | tr '\n' ' ')"
    continue
  fi
  if grep -q 'kind: *contrastive' "$c"; then
    small+=(--set "objective.embeddings=$work/$name.safetensors")
    bin/flops embed --texts --config "$c" --output "$work/$name.safetensors" >/dev/null
  fi
  bin/flops train --config "$c" --smoke ${small[@]+"${small[@]}"} --output "$work/$name" >"$work/$name.log" 2>&1 || { cat "$work/$name.log"; echo "smoke: $name failed"; exit 1; }
  echo "smoke: $name ok"
done
