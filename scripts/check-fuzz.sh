#!/usr/bin/env bash
# Fuzzes every target that the tests hold, FUZZTIME (default 3s) each, on
# FUZZPROCS workers (default 2). A finding is kept under the package's
# testdata/fuzz, where the tests then repeat it.
# Before Go 1.27 the end of -fuzztime itself can be reported as a failure
# (go.dev/issue/75804); a target that failed by nothing else has to pass again.
# usage: scripts/check-fuzz.sh [NAME_PATTERN]
set -euo pipefail
cd "$(dirname "$0")/.."
n=0 all=0
while IFS=: read -r file name; do
  [[ $name =~ ${1:-.} ]] || continue
  for try in 1 2 3; do
    status=0
    out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-3s}" -fuzzminimizetime 1s -parallel "${FUZZPROCS:-2}" "./${file%/*}" 2>&1) || status=$?
    if [ "$status" = 0 ]; then break; fi
    grep -v '^fuzz: elapsed' <<<"$out" || true
    if [ "$try" = 3 ] || grep -q 'Failing input' <<<"$out" || ! grep -qx ' *context deadline exceeded' <<<"$out"; then exit 1; fi
    echo "fuzz: the end of the time was taken for a failure; $name once more"
  done
  ran=$(sed -nE 's/.*execs: ([0-9]+).*/\1/p' <<<"$out" | tail -1) # nothing where the time was over at once
  echo "fuzz: ${file%/*} $name: ${ran:-0} executions"
  n=$((n + 1)) all=$((all + ${ran:-0}))
done < <(grep -rE --include='*_test.go' --exclude-dir='.?*' '^func Fuzz[A-Za-z0-9_]*\(' . | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/')
echo "fuzz: $n targets, $all executions, nothing found"
