#!/usr/bin/env bash
# Writes the SPDX 2.3 list of what a binary of flops is made of, as the toolchain
# recorded it, with each module's licence by the words of its licence file.
# usage: scripts/spdx.sh BINARY NAME >sbom.spdx.json
#        scripts/spdx.sh --licences BINARY >LICENCES.txt    the texts themselves
# The date is that of the last commit, or SOURCE_DATE_EPOCH: the same tree gives the
# same file.
set -euo pipefail
cd "$(dirname "$0")/.."
texts=
if [ "$1" = --licences ]; then
  texts=yes
  shift
fi
binary=$1
main=$(go list -m)
url=https://$main

# files DIR: the licence files of a module
files() { find "$1" -maxdepth 1 -type f \( -iname 'LICEN[CS]E*' -o -iname 'COPYING*' -o -iname 'NOTICE*' \) | sort; }

# licence DIR: an SPDX expression
licence() {
  local text found=
  text=$(files "$1" | grep -vi notice | xargs -r cat | tr -s ' \t\r\n' ' ')
  has() { grep -qi "$1" <<<"$text"; }
  add() { found="$found${found:+ AND }$1"; }
  if has 'Permission is hereby granted, free of charge'; then add MIT; fi
  if has 'Apache License,\? Version 2.0'; then add Apache-2.0; fi
  if has 'Mozilla Public License,\? \(Version\|v\.\) 2.0'; then add MPL-2.0; fi
  if has 'Permission to use, copy, modify, and\(/or\)\? distribute this software'; then add ISC; fi
  if has 'Redistribution and use in source and binary forms'; then
    if has 'Neither the name\|may not be used to endorse'; then add BSD-3-Clause; else add BSD-2-Clause; fi
  fi
  echo "${found:-NOASSERTION}"
}

# modules of the binary: path, version, folder
modules() {
  local used dirs
  used=$(go version -m "$binary" | awk '$1 == "dep" {print $2, $3}')
  dirs=$(go list -m -f '{{.Path}} {{.Version}} {{.Dir}}' all)
  join -o 1.1,1.2,2.3 <(sort -k1,1 <<<"$used") <(sort -k1,1 <<<"$dirs")
}

if [ -n "$texts" ]; then
  modules | while read -r path version dir; do
    files "$dir" | while read -r f; do
      printf '%s %s: %s\n\n' "$path" "$version" "$(basename "$f")"
      cat "$f"
      printf '\n%.0s' 1 2
    done
  done
  exit
fi

name=$2
version=${name#flops-} version=${version%-*-*} # less OS and architecture
when=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" +%Y-%m-%dT%H:%M:%SZ)
go=$(go version -m "$binary" | awk 'NR == 1 {print $NF}')
sum=$(sha256sum "$binary" | cut -d' ' -f1)

# package ID NAME VERSION LICENCE PURL [more fields]
package() {
  printf '    {"SPDXID": "SPDXRef-%s", "name": "%s", "versionInfo": "%s", "downloadLocation": "NOASSERTION",' "$1" "$2" "$3"
  printf ' "filesAnalyzed": false, "licenseConcluded": "NOASSERTION", "licenseDeclared": "%s", "copyrightText": "NOASSERTION",' "$4"
  printf '%s "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "%s"}]}' "${6:-}" "$5"
}
printf '{\n  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",\n'
printf '  "name": "%s", "documentNamespace": "%s/spdx/%s/%s",\n' "$name" "$url" "$name" "${sum:0:16}"
printf '  "creationInfo": {"created": "%s", "creators": ["Tool: flops-scripts-spdx"]},\n  "packages": [\n' "$when"
package flops "$main" "$version" "$(licence .)" "pkg:golang/$main@$version" \
  " \"primaryPackagePurpose\": \"APPLICATION\", \"checksums\": [{\"algorithm\": \"SHA256\", \"checksumValue\": \"$sum\"}],"
printf ',\n'
package stdlib stdlib "${go#go}" BSD-3-Clause "pkg:golang/stdlib@${go#go}"
relations='    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-flops"}'
relate() { relations+=$(printf ',\n    {"spdxElementId": "SPDXRef-flops", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-%s"}' "$1"); }
relate stdlib
while read -r path at dir; do
  id=$(tr -c 'A-Za-z0-9.\n' - <<<"$path")
  printf ',\n'
  package "$id" "$path" "$at" "$(licence "$dir")" "pkg:golang/$path@$at"
  relate "$id"
done < <(modules)
printf '\n  ],\n  "relationships": [\n%s\n  ]\n}\n' "$relations"
