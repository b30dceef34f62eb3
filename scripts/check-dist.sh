#!/usr/bin/env bash
# Makes the release archive of this machine and looks into it: checksum, version,
# manual pages, completions and the list of dependencies. Then what runs the program
# elsewhere: the container, and the units of systemd.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target=$(go env GOOS)/$(go env GOARCH)
name=flops-v0.0.1-${target/\//-}
DIST=$work/dist scripts/dist.sh v0.0.1 "$target" >/dev/null
(cd "$work/dist" && sha256sum --quiet -c SHA256SUMS)
tar -C "$work" -xzf "$work/dist/$name.tar.gz"
cd "$work/$name"
bad() {
  echo "dist: $1" >&2
  exit 1
}
# What is piped into 'grep -q' may end by a closed pipe, so its words are kept first.
version=$(./flops version)
case $version in "flops v0.0.1 "*) ;; *) bad "the version is $version" ;; esac
for file in README.md LICENSE NOTICE CHANGELOG.md LICENCES-of-modules.txt share/man/man1/flops-train.1 share/systemd/flops-serve.service; do
  [ -s "$file" ] || bad "no $file in the archive"
done
bash -n share/completions/flops.bash || bad "bash cannot read its completions"
modules=$(go version -m ./flops | grep -c '^\sdep')
listed=$(grep -c '"SPDXID": "SPDXRef-' sbom.spdx.json)
[ "$listed" -ge "$((modules + 2))" ] || bad "$listed of $modules modules in sbom.spdx.json"
if grep -n 'licenseDeclared": "NOASSERTION' sbom.spdx.json; then bad "licences that nobody recognised"; fi
if command -v python3 >/dev/null; then python3 -c 'import json; json.load(open("sbom.spdx.json"))'; fi
if command -v mandoc >/dev/null; then mandoc -W error -T lint share/man/man1/*.1 >/dev/null || bad "manual pages"; fi
echo "dist: $name.tar.gz: $modules modules and their licences listed, $(ls share/man/man1 | wc -l) manual pages, 4 shells"
cd - >/dev/null
scripts/check-container.sh "$work/$name/flops"
scripts/check-systemd.sh "$work/$name/flops"
