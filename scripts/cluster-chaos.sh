#!/usr/bin/env bash
# Kills the processes of small shared runs a number of times at random instants, 70 of a
# hundred times a worker, 15 times the server and 15 times the coordinator, and compares
# what the runs leave with a run alone, byte for byte. The storage of every second server
# goes with it.
#
#   scripts/cluster-chaos.sh [KILLS]    default 1000, about 0.7 s each
set -euo pipefail
cd "$(dirname "$0")/.."
FLOPS_TEST_KILLS=${1:-1000} exec go test ./internal/cluster -run '^TestKilled$' -count 1 -v -timeout 2h
