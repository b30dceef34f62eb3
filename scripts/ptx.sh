#!/bin/sh
# Compile internal/cuda/kernels to the PTX that is checked in beside them.
#
#   scripts/ptx.sh           regenerate kernels.ptx
#   scripts/ptx.sh --check   fail when kernels.ptx is not what the sources give
#
# Only clang of the version named in the file gives the same text; where it is
# not installed the check is skipped with a line that says so. What it was made of
# stands in its last line, as a checksum that a test compares without clang.
set -eu
cd "$(dirname "$0")/../internal/cuda/kernels"
version=19
clang=clang-$version
if ! command -v "$clang" >/dev/null 2>&1; then
	echo "scripts/ptx.sh: skipped: no $clang here (Debian: apt-get install $clang)"
	[ "${1:-}" = --check ]
	exit
fi
new=$(mktemp)
trap 'rm -f "$new"' EXIT
checksum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
# The version of the compiler's package stands in a comment of its output and
# says nothing about the code.
"$clang" -x cuda --cuda-device-only --cuda-gpu-arch=sm_75 -nocudainc -nocudalib --cuda-feature=+ptx63 \
	-O3 -std=c++17 -Wall -Werror -Wno-unknown-cuda-version -ffp-contract=off -S -o - kernels.cu |
	grep -v '^// .*Debian\|^//.*clang version' >"$new"
echo "// sources: SHA-256 $(LC_ALL=C; export LC_ALL; cat *.cu *.h | checksum)" >>"$new"
if [ "${1:-}" = --check ]; then
	if ! cmp -s "$new" kernels.ptx; then
		echo "scripts/ptx.sh: internal/cuda/kernels/kernels.ptx is not what the sources give: run make ptx" >&2
		exit 1
	fi
	echo "kernels.ptx is up to date"
else
	cat "$new" >kernels.ptx
fi
