#!/usr/bin/env bash
# Runs every command of README.md and of docs/tutorial.md in order, in a folder of its
# own, so that what they say works. What a command needs that is not in the repository has a
# stand-in: a few noise images in CIFAR's format, a tiny network in place of a
# downloaded one. Training is shrunk by --smoke, which ends at step 3, so later
# commands read step-3 where the README says another step. Of make's targets only
# the existence is checked, and nothing is downloaded; both are said in a line. Lines of
# output, which follow a command in the same block, begin otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
[ -x bin/flops ] || make build
. scripts/server-env.sh
cd "$work"
ln -s "$root/bin" "$root/configs" "$root/scripts" .

cifar=data/cifar-10-batches-bin
mkdir -p "$cifar"
for name in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
  for label in 0 1 2 3 4 5 6 7 8 9; do
    for _ in 1 2 3 4; do
      printf "\\x0$label"
      head -c 3072 /dev/urandom
    done
  done >"$cifar/$name.bin"
done
printf '%s\n' airplane automobile bird cat deer dog frog horse ship truck >"$cifar/batches.meta.txt"
{
  bin/flops data export --path "$cifar" --classes cat,dog --output photos
  cp "$(find photos/test -type f | head -1)" photo.jpg
  bin/flops train --config configs/demo.yaml --smoke --output stand-in
  bin/flops model export stand-in/checkpoints/step-3 vit-base-patch16-224
  bin/flops model export stand-in/checkpoints/step-3 vit-small
  bin/flops train --config configs/demo.yaml --smoke --output runs/demo # what make demo leaves
  cp -r "$root/testdata/texts/clip" clip-vit-base-patch16
  bin/flops model export stand-in/checkpoints/step-3 .build/models/dinov2-small
} >log 2>&1 || { cat log; echo "readme: the stand-ins could not be made"; exit 1; }

ran=0 passed=0
while IFS= read -r line; do
  case $line in
  make\ *)
    make -C "$root" -n ${line#make } >/dev/null || { echo "readme: no such target: $line"; exit 1; }
    passed=$((passed + 1))
    continue
    ;;
  scripts/fetch-cifar.sh* | scripts/fetch-dinov2-small.sh* | scripts/bench.sh*)
    echo "readme: not run (network or minutes): $line"
    passed=$((passed + 1))
    continue
    ;;
  esac
  if [[ $line == *"flops serve --model"* && -n $server ]]; then # one at a time
    kill "$server"
    wait "$server" || { cat serve.log; echo "readme: the server ended with status $?"; exit 1; }
    server='' address=''
  fi
  if [[ $line == curl\ * ]] && ! command -v curl >/dev/null; then
    echo "readme: not run (no curl): $line"
    passed=$((passed + 1))
    continue
  fi
  run=$(sed -E "s/step-[0-9]+/step-3/g; s/--to [0-9]+/--to 2/; s/--cluster embedded/& --listen 127.0.0.1:0/; s/127\.0\.0\.1:8000/${address:-127.0.0.1:0}/g; s/(flops (train|allocate-report|compare|tune) .*--config .*)/\1 --smoke/" <<<"$line")
  if [[ $run == *"flops serve --model"* ]]; then
    $run >serve.log 2>&1 &
    server=$!
    address=$(listening serve.log) || { cat serve.log; echo "readme: failed: $run"; exit 1; }
  elif [[ $run == export\ * ]]; then
    eval "$run"
  else
    eval "$run" >log 2>&1 || { cat log; echo "readme: failed: $run"; exit 1; }
  fi
  ran=$((ran + 1))
done < <(sed -e ':a' -e '/\\$/{N;s/\\\n */ /;ba}' "$root/README.md" "$root/docs/tutorial.md" | sed -nE 's/^    ((make|curl|bin\/flops|scripts\/|export|FLOPS_).*)/\1/p')
echo "readme: $ran commands ok, $passed not run"
