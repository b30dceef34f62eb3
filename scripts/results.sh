#!/usr/bin/env bash
# Makes the numbers of docs/results.md again: runs the commands that a section of it says,
# as they stand there, and shows the section's tables below what came out.
#
#   scripts/results.sh                      the sections, by the names they go by here
#   scripts/results.sh NAME|all [--quick]   runs a section's commands, or those of all
#
# NAME may be the beginning of one. --quick shrinks every command by --smoke and compares
# with one seed. A command that ends in train.seed=N runs for every seed of SEEDS
# (0 1 2). What came out is kept in OUTPUT (runs/results), a folder per section, and a command
# that is done is not run again. Data and models are those of FLOPS_SHARED (../shared); a
# command whose data, server or PyTorch is not there is left out, which a line says.
set -euo pipefail
cd "$(dirname "$0")/.."
page=$PWD/docs/results.md
root=$PWD
name=${1:-} quick=
if [ "${2:-}" = --quick ]; then quick=1; fi

# sections: name, then the first line and the last of each that has commands
sections() {
  awk 'function slug(s) { s = tolower(s); gsub(/[^a-z0-9 ]/, "", s); gsub(/ +/, "-", s); return s }
    /^##+ / { if (n) print n, from, NR - 1; n = slug(substr($0, index($0, " ") + 1)); from = NR }
    END { print n, from, NR }' "$page"
}

# commands FROM TO: those of its blocks, a line each
commands() {
  sed -n "$1,$2p" "$page" | sed -e ':a' -e '/\\$/{N;s/\\\n */ /;ba}' |
    sed -nE 's/^    ((flops|python3|scripts\/)[^#]*[^# ]).*/\1/p'
}

# missing COMMAND: what the command needs and is not there
missing() {
  local config model paths
  case $1 in
  *"flops serve"*)
    model=$(sed -E 's/.*--model ([^ ]+).*/\1/' <<<"$1")
    [ -e "$model" ] || echo "$model"
    ;;
  python3*) python3 -c 'import torch' 2>/dev/null || echo "PyTorch" ;;
  scripts/*) [ -z "$quick" ] || echo "the time: --quick downloads nothing" ;;
  *--config*)
    if [[ $1 == *cifar5-prompt-remote* && -z $server ]]; then
      echo "its server"
      return
    fi
    config=$(sed -E 's/.*--config ([^ ]+).*/\1/' <<<"$1")
    eval "set -- $(grep -oE -- "--set ('[^']*'|[^ ]+)" <<<"$1" | sed 's/train.seed=N/train.seed=0/' | tr '\n' ' ')"
    paths=$(absent --config "$config" "$@") # kept: 'head -1' would end it by a closed pipe
    echo "${paths%%$'\n'*}"
    ;;
  esac
}

# shrunk COMMAND: the command for --quick
shrunk() {
  sed -E 's/step-[0-9]+/step-3/g; s/ --(queries|points|over|batches|seeds) [^ ]+//g
    s/ --set (train.steps|checkpoint.every|budget.queries_per_image)=[^ ]+//g
    s/flops (train|allocate-report|compare|tune) /&--smoke /
    s/flops compare /&--seeds 1 --points 2 --queries 1200 /' <<<"$1"
}

# perform COMMAND: runs it in the section's folder, or shows what it said before
perform() {
  local line=$1 log absent path
  log=logs/$(cksum <<<"$line" | tr ' ' -).txt
  echo
  echo "\$ $line"
  absent=$(missing "$line")
  if [ -n "$absent" ]; then
    echo "results: left out, for want of $absent"
    left=$((left + 1))
    return
  fi
  if [ -n "$quick" ]; then line=$(shrunk "$line"); fi
  if [[ $line == *"flops serve"* ]]; then
    address=$(cat address 2>/dev/null || echo 127.0.0.1:0) # a comparison goes on with the same one
    eval "exec bin/${line/127.0.0.1:8000/$address}" >serve.txt 2>&1 &
    server=$!
    address=$(listening serve.txt) || { cat serve.txt; exit 1; }
    echo "$address" >address
    return
  fi
  line=$(sed -E "s#(^| )flops #\1bin/flops #; s#http://127.0.0.1:8000#http://$address#" <<<"$line")
  if [[ $line == *cifar5-prompt-remote* ]]; then line+=" --set model.url=http://$address"; fi
  if [[ $line =~ flops\ (train|compare|tune)\  && $line != *--output* ]]; then
    path=runs/$(sed -E 's#.*flops ([a-z]+) .*--config [^ ]*/([^ ]*)\.yaml.*#\1-\2#; s/^train-//' <<<"$line")
    used[$path]=$((${used[$path]:-0} + 1))
    if [ "${used[$path]}" -gt 1 ]; then path+=-${used[$path]}; fi # of several runs, each its own
    line+=" --output $path"
  fi
  if [ -e "$log" ]; then # done before
    cat "$log"
    return
  fi
  if [[ $line == *"flops train"*" --output runs/"* ]]; then rm -rf "${line##* --output }"; fi # one that was stopped
  eval "$line" 2>&1 | tee part.txt
  mv part.txt "$log"
  ran=$((ran + 1))
}

[ -x bin/flops ] || make build
if [ -z "$name" ]; then
  while read -r slug from to; do
    n=$(commands "$from" "$to" | wc -l)
    if [ "$n" -gt 0 ]; then echo "$n commands  $slug"; fi
  done < <(sections)
  exit
fi
FLOPS_SHARED=$(realpath -m "${FLOPS_SHARED:-../shared}")
export FLOPS_SHARED
out=$(realpath -m "${OUTPUT:-runs/results${quick:+-quick}}")
. scripts/server-env.sh
ran=0 left=0 found=0 address=
while read -r slug from to <&3; do
  if [ "$name" != all ] && [[ $slug != "$name"* ]]; then continue; fi
  found=$((found + 1))
  [ "$(commands "$from" "$to" | wc -l)" -gt 0 ] || continue
  echo "## $slug"
  mkdir -p "$out/$slug/work/logs"
  declare -A used=()
  cd "$out/$slug/work"
  ln -sfn "$root/bin" bin
  ln -sfn "$root/configs" configs
  ln -sfn "$root/scripts" scripts
  ln -sfn "$FLOPS_SHARED" ../shared
  while IFS= read -r line <&4; do
    if [[ $line == *train.seed=N* ]]; then
      for seed in ${SEEDS:-0 1 2}; do perform "${line/train.seed=N/train.seed=$seed}"; done
    else
      perform "$line"
    fi
  done 4< <(commands "$from" "$to")
  if [ -n "$server" ]; then kill "$server" && wait "$server" && server= || true; fi
  echo
  echo "docs/results.md has:"
  sed -n "$from,$to{/^|/p}" "$page"
  echo
  cd "$root"
done 3< <(sections)
[ "$found" -gt 0 ] || { echo "results: no section begins with $name; scripts/results.sh lists them" >&2; exit 2; }
echo "results: $ran commands ran, $left left out; they are in $out"
