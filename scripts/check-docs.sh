#!/usr/bin/env bash
# Looks for what the documents name: files and folders of the repository, and tests.
set -euo pipefail
cd "$(dirname "$0")/.."
pages=(README.md CONTRIBUTING.md docs/*.md docs/*/*.md)
bad=0
missing() {
  echo "docs: $1" >&2
  bad=1
}

# Where nothing is found grep ends with status 1, which is no failure here.
while IFS=: read -r page path; do
  # A package may be followed by a name of its own: internal/vit.Backend.
  compgen -G "$path" >/dev/null || compgen -G "${path%.[A-Z]*}" >/dev/null || missing "$page names $path, which is not there"
done < <(grep -oE '`(alloc|bench|cmd|configs|docs|examples|forward|internal|noise|scripts|testdata)(/[A-Za-z0-9_.*-]+)+' "${pages[@]}" | tr -d '`' | sort -u)

tests=$(git ls-files -co --exclude-standard '*_test.go' | xargs -d '\n' grep -hoE '^func Test[A-Za-z0-9]+' | sort -u)
while IFS=: read -r page test; do
  # The beginning of a name will do: TestResume names all of its kind.
  grep -qE "^func $test" <<<"$tests" || missing "$page names $test, and there is no such test"
done < <(grep -oE '\bTest[A-Z][A-Za-z0-9]+' "${pages[@]}" | sort -u)

exit $bad
