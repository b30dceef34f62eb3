#!/usr/bin/env bash
# Checks that each way into the project works alone on a new machine: from a copy
# of the tree, each with a module cache of its own that is empty at first. The
# first also begins without a build cache; the others go on with that one, which
# -trimpath lets them share. Modules come from this machine's own module cache
# where it has them, else from the module proxy; where neither gives one, the check
# is skipped with a line.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/.build/fresh
tree=$root/tree log=$root/log
rm -rf "$root"
mkdir -p "$tree"
trap 'rm -rf "$root"' EXIT
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
  if [ -e "$f" ]; then printf '%s\0' "$f"; fi # git still lists a file that was removed
done | tar -c --null -T - | tar -x -C "$tree"

GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)"
GOFLAGS="$(go env GOFLAGS) -trimpath -modcacherw" # rw: what is written here can be removed again
GOCACHE=$root/cache
export GOPROXY GOFLAGS GOCACHE

# alone COMMAND...: the command in the copy, with an empty module cache
n=0
alone() {
  n=$((n + 1))
  local began=$SECONDS
  rm -rf "$tree/bin" "$tree/.build" "${GOMODCACHE:-$root/none}"
  export GOMODCACHE=$root/mod$n
  if ! (cd "$tree" && "$@") >"$log" 2>&1; then
    cat "$log" >&2
    echo "fresh: $*: failed on a new machine" >&2
    exit 1
  fi
  echo "fresh: $*: works ($((SECONDS - began)) s)"
}

if ! (cd "$tree" && GOMODCACHE=$root/probe go mod download gorgonia.org/gorgonia) >"$log" 2>&1; then
  echo "fresh: skipped, no module can be had: $(tail -n 1 "$log")"
  exit
fi
if [ "$(go env GOOS)/$(go env GOARCH)" != linux/amd64 ]; then
  echo "fresh: make build-gpu: skipped, the tag gpu is for linux/amd64"
elif ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
  echo "fresh: make build-gpu: skipped, no C compiler ($(go env CC))"
else
  alone make build-gpu
fi
alone make demo
alone scripts/bench.sh 1 '^forward$'
alone go list -deps -test ./... # what make test builds; the tests themselves run elsewhere
