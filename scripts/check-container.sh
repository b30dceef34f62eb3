#!/usr/bin/env bash
# Checks that a static binary is all that a container needs. Where podman, buildah or
# docker can build, the Containerfile is built and run; elsewhere the binary runs in a
# folder that holds nothing else, as a user without a name, which is what that image is.
# usage: scripts/check-container.sh BINARY
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/.."
. scripts/server-env.sh

# Its build must be static on both architectures: a package that loads libraries needs the
# system's linker, which an image from scratch has not.
tags=$(sed -n 's/.* go build .*-tags \([a-z,]*\) .*/\1/p' Containerfile)
for arch in amd64 arm64; do
  loads=$(GOOS=linux GOARCH=$arch CGO_ENABLED=0 go list -tags "$tags" -deps ./cmd/flops | grep '^github.com/ebitengine/purego' || true)
  [ -z "$loads" ] || { echo "container: the binary for $arch loads libraries, so it is not static: ${loads%%$'\n'*}" >&2; exit 1; }
done

builder=
for b in podman docker; do
  if command -v $b >/dev/null && timeout 20 $b info >/dev/null 2>&1; then builder=$b; break; fi
done
if [ -n "$builder" ]; then
  if $builder build -q -f Containerfile -t flops-check . >"$work/log" 2>&1; then
    $builder run --rm --read-only --network none flops-check version
    echo "container: built by $builder, runs with nothing writable"
    $builder rmi -f flops-check >/dev/null
    exit
  fi
  echo "container: $builder could not build ($(tail -n 1 "$work/log"))"
fi

root=$work/root
mkdir -p "$root/tmp" "$root/etc/ssl/certs"
cp "$binary" "$root/flops"
"$binary" train --config configs/demo.yaml --smoke --output "$work/run" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$binary" model export "$work/run/checkpoints/last" "$root/model" >/dev/null
cp configs/demo.yaml "$root/tiny.yaml"
chmod -R a+rX "$work"
chmod 1777 "$root/tmp"
if [ "$(id -u)" = 0 ]; then
  within=(chroot --userspec=65532:65532 "$root")
elif unshare --map-root-user chroot "$root" /flops version >/dev/null 2>&1; then
  within=(unshare --map-root-user chroot "$root")
else
  echo "container: skipped, no builder, and no right to change the root"
  exit
fi
"${within[@]}" /flops version >/dev/null
port=$((20000 + RANDOM % 20000))
"${within[@]}" /flops serve --model /model --addr "0.0.0.0:$port" --log-format json >"$work/out" 2>"$work/err" &
server=$!
ready=
for _ in $(seq 50); do
  if "${within[@]}" /flops serve --check --addr "0.0.0.0:$port" >/dev/null 2>&1; then ready=yes; break; fi
  sleep 0.1
done
[ -n "$ready" ] || { cat "$work/out" "$work/err"; echo "container: flops serve is not ready" >&2; exit 1; }
# And it trains, with one folder to write to.
"${within[@]}" /flops train --config /tiny.yaml --smoke --output /tmp/run >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
kill -TERM "$server"
wait "$server" || { echo "container: flops serve ended with status $?" >&2; exit 1; }
server=
if "${within[@]}" /flops serve --check --addr "0.0.0.0:$port" >/dev/null 2>&1; then
  echo "container: the health check passes where nobody serves" >&2
  exit 1
fi
echo "container: no builder at hand; in an empty root, as nobody, it serves, is checked, trains and stops"
