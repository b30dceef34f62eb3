#!/usr/bin/env bash
# Counts what the project has withstood, and writes it into docs/reliability.md between
# its two marks: executions of every fuzz target, kills of trainers, workers, servers and
# coordinators, misbehaviour of servers that was answered, and flipped bits.
# usage: scripts/reliability.sh [SECONDS]     of fuzzing in all, parted among the targets;
#                                             3600 for a release, which is the default
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-3600}
page=docs/reliability.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

targets=$(grep -rhE --include='*_test.go' --exclude-dir='.?*' '^func Fuzz' . | wc -l)
each=$(awk -v s="$seconds" -v n="$targets" 'BEGIN {printf "%.1f", (s / n < 1) ? 1 : s / n}')
FUZZTIME=${each}s scripts/check-fuzz.sh | tee "$work/fuzz"

# log PACKAGE PATTERN: what the tests say, which fail where the numbers would be wrong
log() { go test -count=1 -timeout 60m -v -run "$2" "$1" >"$work/log" || { cat "$work/log" >&2; exit 1; }; cat "$work/log"; }
sum() { grep -oE "$1" | tr -dc '0-9\n' | awk '{s += $1} END {print s + 0}'; }

FLOPS_TEST_FULL=1 log ./internal/train '^TestKilled$' >"$work/train"
log ./internal/cluster '^(TestKilled|TestSealed)$' >"$work/cluster"
{ log ./internal/remote '^(TestAnswerFileFlippedBits|TestBadAnswer|TestTroubleThatPasses|TestBadPrograms|TestDialRefuses)$'
  log ./internal/oip '^(TestBadAnswers|TestServerRefuses|TestServerOfABrokenModel|TestServerTime|TestServerAtOnce)$'
  log ./internal/journal '^TestJournal'; } >"$work/others"

flips=$(cat "$work/cluster" "$work/others" | sum '[0-9]+ bits flipped')
kills=$(sum '[0-9]+ kills in' <"$work/train")
workers=$(sum 'workers:[0-9]+' <"$work/cluster")
servers=$(sum 'servers:[0-9]+' <"$work/cluster")
coordinators=$(sum 'coordinators:[0-9]+' <"$work/cluster")
quirks=$(grep -cE '^ +--- PASS' "$work/others")
executions=$(awk '/executions, nothing found/ {print $4}' "$work/fuzz")

{
  sed '/<!-- counted -->/q' "$page"
  echo
  echo "Counted $(date -u +%Y-%m-%d) by \`scripts/reliability.sh $seconds\` on $(nproc) cores:"
  echo
  echo "| | |"
  echo "|---|---|"
  echo "| fuzz targets, each for $each s | $targets |"
  echo "| executions of them | $executions, nothing found |"
  echo "| kills of a trainer at random instants, resumed to the same bytes | $kills |"
  echo "| kills of workers, servers and coordinators of a run with others | $workers, $servers and $coordinators |"
  echo "| ways in which a server or a program misbehaved and was answered | $quirks |"
  echo "| bits flipped in journals, answers and messages, all seen | $flips |"
  echo
  echo "| fuzz target | executions |"
  echo "|---|---|"
  sed -nE 's/^fuzz: \.\/(\S+) (\S+): ([0-9]+) executions$/| `\1` \2 | \3 |/p' "$work/fuzz"
  echo
  sed -n '/<!-- \/counted -->/,$p' "$page"
} >"$work/page"
cp "$work/page" "$page"
echo "reliability: $executions executions, $kills kills, $quirks quirks, $flips bits, written to $page"
