#!/usr/bin/env bash
# Fuzzes every target that the tests hold, FUZZTIME (default 3s) each, on
# FUZZPROCS workers (default 2). A finding is kept under the package's
# testdata/fuzz, where the tests then repeat it.
# usage: scripts/check-fuzz.sh [NAME_PATTERN]
set -euo pipefail
cd "$(dirname "$0")/.."
n=0
while IFS=: read -r file name; do
  [[ $name =~ ${1:-.} ]] || continue
  echo "fuzz: ${file%/*} $name"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-3s}" -fuzzminimizetime 1s -parallel "${FUZZPROCS:-2}" "./${file%/*}" | grep -v '^fuzz: elapsed' || exit 1
  n=$((n + 1))
done < <(grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' cmd internal | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/')
echo "fuzz: $n targets, nothing found"
