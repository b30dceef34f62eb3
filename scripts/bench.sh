#!/usr/bin/env bash
# Times the engine and, where PyTorch is installed, the yardstick doing the same
# work, in turn in one run, and prints ratios. An absolute time means little on a
# shared machine; a ratio of neighbours means more.
#
# usage: scripts/bench.sh [RUNS [ROWS]]   ROWS: regular expression of the rows' names
#        FLOPS_SHARED: folder with peer/flops_torch.py    PYTHON: interpreter that has torch
set -eu
cd "$(dirname "$0")/.."
runs=${1:-5} rows=${2:-.}
peer=${FLOPS_SHARED:-../shared}/peer/flops_torch.py
python=${PYTHON:-/usr/bin/python3}
[ -x bin/flops ] || make build
torch=no
if [ -f "$peer" ] && "$python" -c 'import torch' 2>/dev/null; then torch=yes; else
  echo "PyTorch or $peer is not here: our own numbers only"
fi
# a PyTorch that takes the system's BLAS may find the reference one, which is slow
plain='import re, torch
torch.ones(2, 2) @ torch.ones(2, 2)
own = "BLAS_INFO=generic" not in torch.__config__.show()
exit(own or bool(re.search("openblas|libmkl|blis", open("/proc/self/maps").read())))'
if [ $torch = yes ] && "$python" -c "$plain" 2>/dev/null; then
  echo "PyTorch runs on a plain BLAS here, many times slower than it can be: install one (Debian: libopenblas0-pthread)"
fi
vitb="--dim 768 --depth 12 --heads 12 --mlp 3072 --image 224 --patch 16 --classes 1000"
field() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p"; }
median() { sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }

# row NAME MODE ARGS...: medians over the runs, best thread setting of the peer
row() {
  name=$1 mode=$2; shift 2
  if ! grep -qE -- "$rows" <<<"$name"; then return; fi
  ours="" theirs="" share="" mem="" pmem=""
  for _ in $(seq "$runs"); do
    line=$(bin/flops bench --json --mode "$mode" "$@")
    ours="$ours $(echo "$line" | field queries_per_s)"; share="$share $(echo "$line" | field peak_fraction)"; mem=$(echo "$line" | field peak_mib)
    if [ $torch = yes ]; then
      best=0
      for t in "1 1" "2 2" "1 2"; do
        set -- $t "$@"; omp=$1 blas=$2; shift 2
        p=$(OMP_NUM_THREADS=$omp OPENBLAS_NUM_THREADS=$blas "$python" "$peer" "$mode" --threads "$omp" "$@")
        q=$(echo "$p" | field queries_per_s); pmem=$(echo "$p" | field peak_mib)
        best=$(echo "$best $q" | awk '{print ($2>$1)?$2:$1}')
      done
      theirs="$theirs $best"
    fi
  done
  o=$(echo $ours | tr ' ' '\n' | median); s=$(echo $share | tr ' ' '\n' | median)
  if [ $torch = yes ]; then
    t=$(echo $theirs | tr ' ' '\n' | median)
    printf '%-22s %10.1f %10.1f %7.2f %6.2f %6s %6s\n' "$name" "$o" "$t" "$(echo "$o $t" | awk '{print $1/$2}')" "$s" "$mem" "$pmem"
  else
    printf '%-22s %10.1f %10s %7s %6.2f %6s %6s\n' "$name" "$o" - - "$s" "$mem" -
  fi
}
printf '%-22s %10s %10s %7s %6s %6s %6s\n' "medians of $runs" "ours q/s" "torch q/s" ratio peak MiB MiB
row forward forward
row "lr, 20 queries" lr
row "lr, --tune 3" lr --tune 3
row spsa spsa
row bp bp
row "forward, ViT-B/16" forward $vitb --batch 8
