#!/usr/bin/env bash
# Measures how a shared run scales with workers on a simulated device, whose passes and
# queries take their operations over its speed, beside what the run foresaw; what a worker
# 20 times slower costs; and what links cost that fail for 0 to 4 s every 3 s. The machine
# should be otherwise idle: every worker computes the real answers as well.
set -euo pipefail
cd "$(dirname "$0")/.."
FLOPS_TEST_FULL=1 exec go test ./internal/cluster -run '^(TestScaling|TestStraggler|TestCuts|TestCalled)$' -count 1 -v -timeout 30m
