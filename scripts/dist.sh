#!/usr/bin/env bash
# Builds release archives into dist/, or $DIST: linux, macOS and Windows on amd64 and
# arm64, without cgo, with manual pages, shell completions, the SPDX list of what is in
# the binary and the licences of it, for linux the units of systemd; and their checksums.
# The same tree, toolchain and version make the same archives.
# usage: scripts/dist.sh VERSION [OS/ARCH...]
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-devel}
shift || true
targets=("$@")
if [ ${#targets[@]} = 0 ]; then targets=({linux,darwin,windows}/{amd64,arm64}); fi
dist=${DIST:-dist}
rm -rf "$dist" && mkdir -p "$dist"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
common=$(mktemp -d)
trap 'rm -rf "$common"' EXIT
build() { CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$1" ./cmd/flops; }

build "$common/flops"
mkdir -p "$common/share/man/man1" "$common/share/completions" "$common/share/systemd"
"$common/flops" man "$common/share/man/man1" >/dev/null
for shell in bash zsh fish powershell; do
  "$common/flops" completion $shell >"$common/share/completions/flops.$shell"
done
rm "$common/flops"
cp README.md LICENSE NOTICE CHANGELOG.md "$common/"
cp packaging/systemd/*.service "$common/share/systemd/"

for target in "${targets[@]}"; do
  name=flops-$version-${target/\//-}
  exe=flops
  if [[ $target == windows/* ]]; then exe=flops.exe; fi
  cp -r "$common" "$dist/$name"
  if [[ $target != linux/* ]]; then rm -r "$dist/$name/share/systemd"; fi
  GOOS=${target%/*} GOARCH=${target#*/} build "$dist/$name/$exe"
  scripts/spdx.sh "$dist/$name/$exe" "$name" >"$dist/$name/sbom.spdx.json"
  scripts/spdx.sh --licences "$dist/$name/$exe" >"$dist/$name/LICENCES-of-modules.txt"
  chmod -R u=rwX,go=rX "$dist/$name"
  tar -C "$dist" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
    gzip -n >"$dist/$name.tar.gz"
  rm -r "${dist:?}/$name"
  echo "$dist/$name.tar.gz"
done
(cd "$dist" && sha256sum ./*.tar.gz >SHA256SUMS)
