#!/usr/bin/env bash
# Kills the processes of small shared runs a number of times at random instants, workers
# and coordinators with their servers, and compares what the runs leave with a run alone.
#
#   scripts/cluster-chaos.sh [KILLS]    default 1000, about half a second each
set -euo pipefail
cd "$(dirname "$0")/.."
FLOPS_TEST_KILLS=${1:-1000} exec go test ./internal/cluster -run '^TestKilled$' -count 1 -v -timeout 2h
