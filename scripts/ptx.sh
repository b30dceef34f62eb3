#!/bin/sh
# Compile internal/cuda/kernels to the PTX that is checked in beside them:
# kernels.ptx for every card, sm80.ptx of the folder sm80 for compute capability 8.0
# and later.
#
#   scripts/ptx.sh           regenerate both
#   scripts/ptx.sh --check   fail when one is not what the sources give
#
# Only clang of the version named in the file gives the same text; where it is
# not installed the check is skipped with a line that says so. What each was made of
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

# compile ARCHITECTURE PTX-VERSION SOURCE OUT: the version of the compiler's package
# stands in a comment of its output and says nothing about the code.
compile() {
	"$clang" -x cuda --cuda-device-only --cuda-gpu-arch="$1" -nocudainc -nocudalib --cuda-feature=+"$2" \
		-O3 -std=c++17 -Wall -Werror -Wno-unknown-cuda-version -ffp-contract=off -S -o - "$3" |
		grep -v '^// .*Debian\|^//.*clang version' >"$new"
	echo "// sources: SHA-256 $(LC_ALL=C; export LC_ALL; cat *.cu *.h sm80/*.cu sm80/*.h | checksum)" >>"$new"
	if [ "$mode" = --check ]; then
		if ! cmp -s "$new" "$4"; then
			echo "scripts/ptx.sh: internal/cuda/kernels/$4 is not what the sources give: run make ptx" >&2
			exit 1
		fi
		echo "$4 is up to date"
	else
		cat "$new" >"$4"
	fi
}
mode=${1:-}
compile sm_75 ptx63 kernels.cu kernels.ptx
compile sm_80 ptx70 sm80/sm80.cu sm80.ptx
