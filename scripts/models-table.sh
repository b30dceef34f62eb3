#!/usr/bin/env bash
# What flops does with every model of a zoo: a table of folders and commands, each
# yes or why not, between two lines of docs/models.md.
#
#   scripts/models-table.sh            the models of testdata/zoo, and of
#                                      ${FLOPS_SHARED:-../shared}/models/zoo where it is
#   scripts/models-table.sh --check    write nothing; fail where anything is neither done
#                                      nor refused, or docs/models.md says otherwise
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
flops=$PWD/bin/flops
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$flops" data export --kind shapes --output "$work/all" >/dev/null
for split in train test; do # a few of each class
  for class in "$work/all/$split"/*/; do
    mkdir -p "$work/photos/$split/$(basename "$class")"
    find "$class" -name '*.png' | sort | sed -n 1,4p | while read -r f; do cp "$f" "$work/photos/$split/$(basename "$class")/"; done
  done
done
picture=$(find "$work/photos" -name '*.png' | sort | sed -n 1p)
failed=0

# try COMMAND...: yes, or what the error says, which a mistake of the user's is (status 2).
try() {
  local status=0
  "$@" >"$work/out" 2>"$work/err" || status=$?
  case $status in
  0) echo yes ;;
  2) echo "no: $(sed -n 's/^flops: error: //p' "$work/err" | sed "s#^[^ ]*: ##; s#$work[^ ]*##g; s#|#/#g" | cut -c1-110)" ;;
  *)
    echo "FAILED"
    echo "models-table: $*: status $status: $(tail -n 2 "$work/err")" >&2
    ;;
  esac
}

train() { # MODEL ESTIMATOR
  rm -rf "$work/run"
  "$flops" train --config "$work/step.yaml" --set "model.path=$1" --set "estimator.name=$2" --output "$work/run"
}

alike() { # of two folders: the same embeddings
  "$flops" embed --model "$1" --data "$work/photos" --layer "$3" --output "$work/a.npy" &&
    "$flops" embed --model "$2" --data "$work/photos" --layer "$3" --output "$work/b.npy" && cmp "$work/a.npy" "$work/b.npy"
}

cat >"$work/step.yaml" <<YAML
data: {kind: folder, path: $work/photos}
sites: {blocks: last-1, kinds: [query, key, value, attn_out, mlp_in, mlp_out, pool], classifier: true}
optimizer: {lr: 1e-4}
train: {steps: 1, batch_size: 4, seed: 0}
checkpoint: {every: 1}
YAML

predicted() { # MODEL
  local got
  got=$(try "$flops" predict --model "$1" "$picture")
  case $got in # by words, where the model has them
  no:*) if [ "$(try "$flops" predict --model "$1" --labels "cat,dog" "$picture")" = yes ]; then got='yes, by `--labels`'; fi ;;
  esac
  echo "$got"
}

table() { # FOLDER...
  echo "| folder | inspect | predict | embed | bp | forward | export | ONNX | reload |"
  echo "|---|---|---|---|---|---|---|---|---|"
  for d in "$@"; do
    local row="| \`$(basename "$d")\`" layer=pooled out="$work/out-$(basename "$d")"
    local inspect
    inspect=$(try "$flops" model inspect "$d")
    row+=" | $inspect"
    if [ "$inspect" != yes ]; then
      echo "$row | | | | | | | |"
      continue
    fi
    row+=" | $(predicted "$d")"
    row+=" | $(try "$flops" embed --model "$d" --data "$work/photos" --layer $layer --output "$work/e.npy")"
    row+=" | $(try train "$d" bp)"
    row+=" | $(try train "$d" activation)"
    rm -rf "$out" "$out.onnx"
    row+=" | $(try "$flops" model export "$d" "$out")"
    row+=" | $(try "$flops" model export "$d" "$out.onnx")"
    row+=" | $(try alike "$d" "$out" $layer)"
    rm -rf "$out" "$out.onnx"
    echo "$row |"
  done
}

own=(testdata/zoo/*/)
shared=()
for d in "${FLOPS_SHARED:-../shared}"/models/zoo/*/; do
  if [ -f "$d/reference.json" ] && [ "$(basename "$d")" != preprocess ]; then shared+=("$d"); fi
done
{
  echo "Made by scripts/models-table.sh with the models of testdata/zoo, which scripts/make-zoo.py makes:"
  echo
  table "${own[@]}"
  if [ ${#shared[@]} -gt 0 ]; then
    echo
    echo "And with other models of the same families and switches, in the layouts of transformers 5.24, timm 1.0.31"
    echo "and open_clip 3.3:"
    echo
    table "${shared[@]}"
  fi
} >"$work/table"
if grep -q FAILED "$work/table"; then failed=1; fi
if [ "${1:-}" = --check ]; then
  grep FAILED "$work/table" || true
  if ! grep '^| `' "$work/table" | grep -vxF -f docs/models.md >"$work/new"; then
    echo "models-table: $(grep -c '^| `' "$work/table") models, as docs/models.md says"
    exit $failed
  fi
  echo "models-table: docs/models.md says otherwise of the models below; scripts/models-table.sh writes it again" >&2
  cat "$work/new" >&2
  exit 1
fi
awk -v table="$work/table" '
  /^<!-- table -->$/ { print; print ""; while ((getline line < table) > 0) print line; print ""; skip = 1; next }
  /^<!-- end -->$/ { skip = 0 }
  !skip' docs/models.md >"$work/models.md"
cp "$work/models.md" docs/models.md
exit $failed
