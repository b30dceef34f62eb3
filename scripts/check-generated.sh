#!/usr/bin/env bash
# Makes the assembler of the kernels again and wants what is checked in. The generators
# have the tag asm, so that nobody compiles them, and what they need, who only builds flops.
set -euo pipefail
cd "$(dirname "$0")/.."
go vet -tags asm ./internal/kernel/asm/... ./noise/asm
go tool staticcheck -tags asm ./internal/kernel/asm/... ./noise/asm
if [ "$(go env GOHOSTARCH)" != amd64 ]; then
  echo "generated: skipped, the kernels are made on amd64"
  exit
fi
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
files=({noise,internal/kernel}/*_amd64.s {noise,internal/kernel}/*_stubs_amd64.go)
cp --parents "${files[@]}" "$kept"
go generate ./noise ./internal/kernel
for file in "${files[@]}"; do
  if ! cmp "$file" "$kept/$file"; then
    echo "generated: $file was not what its generator makes; it is now" >&2
    exit 1
  fi
done
echo "generated: ${#files[@]} files are what their generators make"
