#!/usr/bin/env bash
# Lines of Go have at most 120 characters, a tab counting as one; what a program
# generated is left out. Older lines are longer: their number may only fall.
#
#   scripts/check-lines.sh          fail where there are more long lines than before
#   scripts/check-lines.sh FILE...  list those of these files
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8 # characters, not bytes
before=80

long() { # of the files whose names are on standard input; two processes, not some for every file
  xargs -d '\n' grep -sLE '^// Code generated .* DO NOT EDIT\.$' | xargs -d '\n' grep -nHE '^.{121,}' || true
}

if [ $# -gt 0 ]; then
  printf '%s\n' "$@" | long
  exit
fi
lines=$(git ls-files '*.go' | long)
n=$(grep -c . <<<"$lines" || true)
if [ "$n" -gt "$before" ]; then
  cut -c -160 <<<"$lines"
  echo "lines: $n of Go are longer than 120 characters, and $before were; break those that are new" >&2
  exit 1
elif [ "$n" -lt "$before" ]; then
  echo "lines: $n of Go are longer than 120 characters: write before=$n into scripts/check-lines.sh"
fi
