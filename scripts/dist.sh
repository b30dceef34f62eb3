#!/usr/bin/env bash
# Builds release archives into dist/: linux, macOS and Windows on amd64 and
# arm64, without cgo, and their checksums.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-devel}
rm -rf dist && mkdir -p dist
for os in linux darwin windows; do
  for arch in amd64 arm64; do
    name=flops-$version-$os-$arch
    exe=flops; [ $os = windows ] && exe=flops.exe
    mkdir -p "dist/$name"
    CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "-s -w -X main.version=$version" -o "dist/$name/$exe" ./cmd/flops
    cp README.md LICENSE NOTICE CHANGELOG.md "dist/$name/" 2>/dev/null || true
    tar -C dist -czf "dist/$name.tar.gz" "$name"
    rm -r "dist/$name"
    echo "dist/$name.tar.gz"
  done
done
(cd dist && sha256sum ./*.tar.gz >SHA256SUMS)
