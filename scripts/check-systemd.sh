#!/usr/bin/env bash
# Lets systemd read the units of packaging/systemd, with a binary at the place that
# they name. Nothing is installed or started.
# usage: scripts/check-systemd.sh BINARY
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/.."
if ! command -v systemd-analyze >/dev/null; then
  echo "systemd: skipped, no systemd-analyze"
  exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for unit in packaging/systemd/*.service; do
  sed "s|/usr/local/bin/flops|$binary|" "$unit" >"$work/$(basename "$unit")"
done
# The manual pages are not installed here, which is all that may be said.
if said=$(systemd-analyze verify --man=no "$work"/*.service 2>&1) && [ -z "$said" ]; then
  echo "systemd: $(ls "$work" | wc -l) units are read without a word"
else
  echo "$said" >&2
  exit 1
fi
# Every flag that a unit gives is one.
for unit in "$work"/*.service; do
  command=$(sed -n 's/^ExecStart=[^ ]* \([a-z]*\).*/\1/p' "$unit")
  help=$("$binary" "$command" --help)
  for flag in $(grep '^ExecStart=' "$unit" | grep -oE -- '--[a-z-]+' || true); do
    grep -q -- "$flag " <<<"$help" || { echo "systemd: $(basename "$unit"): $command has no flag $flag" >&2; exit 1; }
  done
done
