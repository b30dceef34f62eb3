#!/usr/bin/env bash
# Measures how a shared run scales with workers on a simulated device, whose queries take
# their operations over its speed, and what a worker 20 times slower costs. The machine
# should be otherwise idle: every worker computes the real answers as well.
set -euo pipefail
cd "$(dirname "$0")/.."
FLOPS_TEST_FULL=1 exec go test ./internal/cluster -run '^(TestScaling|TestStraggler)$' -count 1 -v
