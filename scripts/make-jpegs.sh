#!/usr/bin/env bash
# Writes JPEG files of every kind that libjpeg-turbo's programs make, for the
# decoder's tests: sampling factors, restart intervals, progressive and other
# scan scripts, grey, RGB, quality, odd sizes, turned and cropped.
# Usage: scripts/make-jpegs.sh [DIR [few]]   DIR: default .build/jpegs
# "few" writes the handful that internal/jpegrgb/testdata/djpeg has.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-.build/jpegs}
mkdir -p "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# picture W H: a colourful picture with edges and noise, the same at every call.
picture() {
  local file=$work/$1x$2.ppm
  [ -f "$file" ] || awk -v w="$1" -v h="$2" 'BEGIN {
    print "P3", w, h, 255; s = 7
    for (y = 0; y < h; y++) for (x = 0; x < w; x++) {
      s = (s * 1103 + 12345) % 65536; n = s % 41
      edge = int((x + 2 * y) / 9) % 3
      print int(x * 214 / w) + n, (edge == 0 ? 230 : int(y * 200 / h)) + n % 9, (edge == 1 ? 20 : 180) + n
    } }' > "$file"
  echo "$file"
}

# quiet COMMAND...: without its warnings, unless it fails.
quiet() { "$@" 2> "$work/log" || { cat "$work/log" >&2; return 1; }; }

# make NAME WxH OPTION...: one file by cjpeg.
make() {
  local name=$1 size=$2
  shift 2
  quiet cjpeg "$@" -outfile "$dir/$size-$name.jpg" "$(picture "${size%x*}" "${size#*x}")"
}

# turn NAME FROM OPTION...: one file by jpegtran, from another.
turn() {
  local name=$1 from=$2
  shift 2
  quiet jpegtran "$@" -outfile "$dir/$from-$name.jpg" "$dir/$from.jpg"
}

# Scan scripts: each component by itself; by bands and bits; without the end.
echo '0; 1; 2;' > "$work/apart"
echo '0; 1 2;' > "$work/pair"
echo '0,1,2: 0-0, 0, 1; 0: 1-9, 0, 2; 2: 1-63, 0, 1; 1: 1-63, 0, 1; 0: 10-63, 0, 2; 0: 1-63, 2, 1; 0,1,2: 0-0, 1, 0;
  2: 1-63, 1, 0; 1: 1-63, 1, 0; 0: 1-63, 1, 0;' > "$work/bits"
echo '0,1,2: 0-0, 0, 0;' > "$work/dc"
echo '0,1,2: 0-0, 0, 1; 0: 1-5, 0, 2; 2: 1-63, 0, 1;' > "$work/open"

few() {
  make 444-q90 17x13 -quality 90 -sample 1x1
  make 440 17x13 -sample 1x2
  make 440-rst 33x18 -sample 1x2 -restart 1B
  make 411 33x18 -sample 4x1
  make 410 33x18 -sample 4x2
  make 441 17x13 -sample 1x4
  make 421 17x13 -sample 2x2,1x2,2x1
  make chroma 17x13 -sample 1x1,2x2,2x1
  make 311 33x18 -sample 3x1
  make 420-rst 33x18 -sample 2x2 -restart 1B
  make 422-rst 64x40 -sample 2x1 -restart 1B -quality 30
  make gray-rst 33x18 -grayscale -restart 3B
  make rgb 17x13 -rgb
  make q1 33x18 -quality 1
  make prog-420 33x18 -progressive -sample 2x2
  make prog-440-rst 17x13 -progressive -sample 1x2 -restart 2B
  make prog-gray 17x13 -progressive -grayscale
  make bits 33x18 -scans "$work/bits"
  make apart 33x18 -scans "$work/apart"
  make dc 64x40 -scans "$work/dc" -sample 2x2
  make open 33x18 -scans "$work/open" -sample 2x1
  make one 1x9 -sample 2x2
  make arithmetic 17x13 -arithmetic
}

many() {
  local size sample mode
  local -A modes=(
    [base]="" [q5]="-quality 5" [q100]="-quality 100 -optimize" [rst]="-restart 1B" [rows]="-restart 1 -optimize"
    [prog]="-progressive" [progrst]="-progressive -restart 5B" [bits]="-scans $work/bits" [apart]="-scans $work/apart"
    [pair]="-scans $work/pair -restart 7B" [dc]="-scans $work/dc" [open]="-scans $work/open -quality 95"
  )
  for size in 1x1 1x9 9x1 2x2 4x17 5x40 17x13 33x18 64x3 101x75; do
    for mode in "${!modes[@]}"; do
      for sample in 1x1 2x1 1x2 2x2 4x1 1x4 4x2 2x4 3x1 1x3 3x2 2x2,1x2,2x1 1x1,2x2,2x1 1x2,2x1,1x1; do
        [[ $size$mode =~ ^(17x13|101x75).*|.*(base|prog)$ ]] || continue
        # shellcheck disable=SC2086
        make "$mode-$sample" "$size" ${modes[$mode]} -sample "$sample" -dct int
      done
    done
    make gray "$size" -grayscale
    make grayprog "$size" -grayscale -progressive -restart 1B
    make graytall "$size" -grayscale -sample 2x2 -restart 2B
    make rgb "$size" -rgb
    make rgbprog "$size" -rgb -progressive
    make smooth "$size" -smooth 30 -dct float
    make arithmetic "$size" -arithmetic
    make arithmeticprog "$size" -arithmetic -progressive
  done
  for from in 101x75-base-2x1 101x75-rst-2x2 17x13-prog-4x1 17x13-base-1x1 33x18-rgb; do
    turn 90 "$from" -rotate 90
    turn transverse "$from" -transverse -restart 1B
    turn flip "$from" -flip vertical -progressive
    turn trim "$from" -rotate 180 -trim -optimize
    turn crop "$from" -crop 9x5+8+0 -copy all
    [ "$from" = 33x18-rgb ] || turn grey "$from" -grayscale -scans <(echo '0: 0-0, 0, 0; 0: 1-63, 0, 0;')
    turn code "$from" -arithmetic
  done
}

"${2:-many}"
