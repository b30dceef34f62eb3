#!/usr/bin/env bash
# Looks for what links in the documents lead to: files, headings of pages (as GitHub
# names them) and pictures. Addresses on the network are looked at for their form
# alone, so that nothing depends on other machines; --network asks for each once.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
pages=(*.md docs/*.md docs/*/*.md examples/*.md)
existing=()
for p in "${pages[@]}"; do if [ -f "$p" ]; then existing+=("$p"); fi; done
bad=0
missing() {
  echo "links: $1" >&2
  bad=1
}

# prose PAGE: the page without its blocks and spans of code
prose() { awk '/^ *```/ {code = !code; next} !code && !/^    /' "$1" | sed -E 's/`[^`]*`//g'; }

# headings PAGE: the anchors of its headings, and those that it sets itself
headings() {
  awk '/^ *```/ {code = !code} !code && /^#+ /' "$1" | sed -E 's/^#+ +//; s/\]\([^)]*\)//g; s/[`*[]//g' |
    tr '[:upper:]' '[:lower:]' | sed -E 's/[^[:alnum:] _-]//g; s/ /-/g' |
    awk '{n = seen[$0]++; print $0 (n ? "-" n : "")}'
  grep -oE '<a (id|name)="[^"]+' "$1" | sed 's/.*"//' || true
}

n=0
while IFS=$'\t' read -r page link; do
  n=$((n + 1))
  case $link in
  http://* | https://*)
    [[ $link =~ ^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[^[:space:]]*)?$ ]] || missing "$page: $link is no address"
    if [ "${1:-}" = --network ] && ! curl -fsSLI --max-time 20 -o /dev/null "$link"; then missing "$page: nothing at $link"; fi
    continue ;;
  mailto:*) continue ;;
  esac
  path=${link%%#*} anchor=
  if [[ $link == *#* ]]; then anchor=${link#*#}; fi
  target=$page
  if [ -n "$path" ]; then target=$(dirname "$page")/$path; fi
  if ! [ -e "$target" ]; then
    missing "$page links to $path, which is not there"
  elif [ -n "$path" ] && [ -z "$(git ls-files --cached --others --exclude-standard "$target")" ]; then
    missing "$page links to $path, which is not part of the project"
  elif [ -n "$anchor" ] && ! headings "$target" | grep -qxF -- "$anchor"; then
    missing "$page links to #$anchor, and $target has no such heading"
  fi
done < <(for p in "${existing[@]}"; do
  prose "$p" | grep -oE '\]\([^) ]+|(src|srcset|href)="[^"]+' | sed -E 's/^\]\(|^[a-z]+="//' | sed "s|^|$p\t|" || true
done | sort -u)
[ "$bad" = 0 ] && echo "links: $n lead where they say"
exit $bad
