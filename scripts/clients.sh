#!/usr/bin/env bash
# Checks flops with the programs that people use with it: scripts/clients/*_client.py,
# one line each, and which took longest. They are installed into .build/clients (about
# 6 GB, most of it PyTorch) from pinned lists; what cannot be installed is left out, and
# said.
#
#   scripts/clients.sh            all of them
#   scripts/clients.sh triton     those whose names begin so
set -uo pipefail
cd "$(dirname "$0")/.."
env=.build/clients
say() { echo "clients: $*"; }
python=${FLOPS_PYTHON:-python3}
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  say "all left out: no Python 3.11 or later with venv (Debian: python3-venv; FLOPS_PYTHON names another)"
  exit 0
fi

# install ENVIRONMENT LIST GIGABYTES makes an environment of a pinned list, once.
install() {
  local to=$1 list=$2 need=$3 free
  cmp -s "$list" "$to/installed.txt" && return
  mkdir -p "$(dirname "$to")"
  free=$(df -Pk "$(dirname "$to")" | awk 'NR == 2 {print int($4 / 1048576)}')
  if [ "$free" -lt "$need" ]; then
    say "left out: $list needs $need GB in .build and there are $free"
    return 1
  fi
  rm -rf "$to"
  if ! { "$python" -m venv "$to" && "$to/bin/pip" install --quiet --disable-pip-version-check --retries 2 --requirement "$list"; } >"$to.log" 2>&1; then
    say "left out: $list could not be installed ($(grep -m1 -i error "$to.log" || tail -n 1 "$to.log"); all of it in $to.log)"
    return 1
  fi
  cp "$list" "$to/installed.txt"
}

install $env scripts/clients/requirements.txt 10 || exit 0
mlserver=
install $env-mlserver scripts/clients/requirements-mlserver.txt 2 && mlserver=$PWD/$env-mlserver
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FLOPS=$PWD/bin/flops MLSERVER=$mlserver PYTHONDONTWRITEBYTECODE=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES=

# check NAME runs a client in a folder of its own and says what came of it in one go.
check() {
  local name=$1 began=$SECONDS at=$work/$1 status=0
  mkdir "$at"
  CLIENTS_WORK=$at timeout 600 "$env/bin/python" -W ignore "scripts/clients/${name}_client.py" >"$at.out" 2>"$at.err" || status=$?
  if [ $status != 0 ]; then
    { say "$name failed with status $status (124: ended after 600 s):" && tail -n 25 "$at.err"; } >>"$at.out"
    touch "$at.failed"
  fi
  cat "$at.out"
  echo "$((SECONDS - began)) $name" >"$at.seconds"
  rm -rf "$at"
}

# Those that take longest begin first, as many at once as there are cores.
names=$(for script in scripts/clients/"${1:-}"*_client.py; do basename "$script" _client.py; done |
  awk '{print /browser|families|combos/ ? 0 : 1, $0}' | sort -s -n -k1,1 | cut -d' ' -f2)
for name in $names; do
  if [ "$name" = mlserver ] && [ -z "$mlserver" ]; then continue; fi
  while [ "$(jobs -rp | wc -l)" -ge "${CLIENTS_JOBS:-$(nproc)}" ]; do wait -n; done
  check "$name" &
done
wait
say "$(ls "$work" | grep -c 'seconds$') of them in $SECONDS s, longest: $(cat "$work"/*.seconds | sort -rn | awk 'NR <= 3 {print $2, $1, "s"}' | paste -sd, | sed 's/,/, /g')"
[ -z "$(ls "$work" | grep 'failed$')" ]
