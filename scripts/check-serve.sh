#!/usr/bin/env bash
# Loads flops serve with the answers of a small network: eight clients at once, JSON
# and binary, for so many seconds. Fails where an inference failed, counts disagree,
# the server's memory grew, its log lacks a line, or it did not end well; prints the
# 99th percentile of the latencies.
# usage: scripts/check-serve.sh [SECONDS]     20 in CI; 600 for a release
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
[ -x bin/flops ] || make build
. scripts/server-env.sh
bin/flops train --config configs/demo.yaml --smoke --output "$work/run" >"$work/train.log" 2>&1 || { cat "$work/train.log"; exit 1; }
bin/flops --log-format json serve --model "$work/run/checkpoints/last" --addr 127.0.0.1:0 >"$work/out" 2>"$work/log" &
server=$!
addr=$(listening "$work/out") || { cat "$work/log"; echo "serve: the server did not start"; exit 1; }
bin/flops serve --check --addr "$addr" >/dev/null
go run ./internal/oip/load --url "http://$addr" --seconds "$seconds"
kill -TERM "$server"
wait "$server" || { tail -n 3 "$work/log"; echo "serve: ended with status $?"; exit 1; }
server=
answered=$(sed -n 's/^answered .* images in \([0-9]*\) requests, 0 failed$/\1/p' "$work/out")
logged=$(grep -c '"msg":"infer"' "$work/log")
[ "$answered" = "$logged" ] || { tail -n 3 "$work/out"; echo "serve: $logged lines in the log"; exit 1; }
echo "serve: ended well, $logged lines in its log"
