#!/usr/bin/env bash
# Checks that 'go install MODULE/cmd/flops@VERSION' works from outside: the module as it
# would be published stands behind a proxy of files, what it needs comes from this
# machine's module cache (or the proxy that go uses), and the module cache is empty.
set -euo pipefail
cd "$(dirname "$0")/.."
module=$(go list -m) version=v0.0.1
if grep -qE '^(replace|exclude)\b' go.mod; then
  echo "install: go.mod replaces or excludes modules, so nobody outside can install" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
at=$work/proxy/$module/@v
mkdir -p "$at" "$work/outside"
# Modules within the module are not part of it.
inner=()
while read -r mod; do inner+=(":(exclude)${mod%/go.mod}"); done < <(git ls-files '*/go.mod')
tree=$(git stash create)
git archive --format=zip --prefix="$module@$version/" -o "$at/$version.zip" "${tree:-HEAD}" -- . "${inner[@]}"
cp go.mod "$at/$version.mod"
echo "$version" >"$at/list"
printf '{"Version": "%s", "Time": "2026-01-01T00:00:00Z"}\n' "$version" >"$at/$version.info"

cache=$(go env GOMODCACHE)/cache/download
export GOPROXY="file://$work/proxy,file://$cache,$(go env GOPROXY)" GOMODCACHE=$work/mod GOBIN=$work/bin GOSUMDB=off
export GOFLAGS="-trimpath -modcacherw"
if ! (cd "$work/outside" && go install "$module/cmd/flops@$version") >"$work/log" 2>&1; then
  if grep -q 'no such host\|connection refused\|i/o timeout\|Forbidden' "$work/log"; then
    echo "install: skipped, a module cannot be had: $(tail -n 1 "$work/log")"
    exit
  fi
  cat "$work/log" >&2
  echo "install: go install $module/cmd/flops@VERSION fails from outside" >&2
  exit 1
fi
said=$("$work/bin/flops" version) # kept: 'grep -q' would end it by a closed pipe
case $said in "flops $version "*) ;; *) echo "install: the version is not $version: $said" >&2; exit 1 ;; esac
"$work/bin/flops" config validate --config configs/demo.yaml >/dev/null
echo "install: go install $module/cmd/flops@VERSION works, version by tag"
