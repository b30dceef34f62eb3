#!/usr/bin/env bash
# Compares the drawing in docs/architecture.md with what the packages import.
#
#   scripts/check-architecture.sh          fail where they differ
#   scripts/check-architecture.sh --write  draw the arrows anew
#
# A row of the drawing is a package and its arrows. They are right when
#   - every package of the module has one row,
#   - its arrows are its imports, less those that another arrow leads to,
#   - every arrow points to a row further down.
# A package inside internal/ stands without that word.
set -euo pipefail
cd "$(dirname "$0")/.."
page=docs/architecture.md
module=$(go list -m)
drawn=$(mktemp)
trap 'rm -f "$drawn"' EXIT

go list -tags asm -f '{{.ImportPath}}{{range .Imports}} {{.}}{{end}}' ./... |
  awk -v module="$module/" -v page="$page" '
    function short(path) {
      sub("^" module, "", path)
      sub("^internal/", "", path)
      return path
    }
    # reaches says whether imports lead from a to b.
    function reaches(a, b,    i, n, to) {
      if ((a, b) in known) return known[a, b]
      known[a, b] = 0
      n = split(imports[a], to, " ")
      for (i = 1; i <= n; i++)
        if (to[i] == b || reaches(to[i], b)) return known[a, b] = 1
      return 0
    }
    # arrows are the imports of a that no other import of a leads to.
    function arrows(a,    i, j, n, to, text, other) {
      n = split(imports[a], to, " ")
      for (i = 1; i <= n; i++) {
        other = 0
        for (j = 1; j <= n; j++) if (j != i && reaches(to[j], to[i])) other = 1
        if (!other) text = text (text == "" ? "" : " ") to[i]
      }
      return text
    }
    function fail(text) {
      print "architecture: " text >"/dev/stderr"
      bad = 1
    }
    # row draws a package with its arrows, in the order of the rows.
    function row(a,    i, n, to, line, found) {
      n = split(arrows(a), to, " ")
      for (i = 1; i <= n; i++) wanted[a, to[i]] = 1
      line = "  " a
      for (i = 1; i <= rows; i++) {
        if (!((a, name[i]) in wanted)) continue
        if (i < place[a]) fail(a " imports " name[i] ", which stands above it")
        if (!found++) line = sprintf("  %-22s ->", a)
        if (length(line " " name[i]) > 80) {
          print line
          line = sprintf("  %-22s   ", "")
        }
        line = line " " name[i]
      }
      print line
    }
    {
      a = short($1)
      imports[a] = ""
      for (i = 2; i <= NF; i++)
        if (index($i, module) == 1) imports[a] = imports[a] " " short($i)
      packages[a] = 1
    }
    END {
      while ((getline line <page) > 0) {
        text[++lines] = line
        if (line ~ /^```/) inside = ++fences == 1 # the first block of the page is the drawing
        drawn[lines] = inside && line ~ /^  /
        if (!inside || line !~ /^  [a-z]/) continue
        split(line, f, " ")
        if (f[1] in place) fail(f[1] " has two rows")
        name[++rows] = f[1]
        place[f[1]] = rows
      }
      for (a in packages) if (!(a in place)) fail(a " has no row in " page)
      for (i = 1; i <= rows; i++) if (!(name[i] in packages)) fail(name[i] " has a row and is no package")
      for (i = 1; i <= lines; i++) {
        if (!drawn[i]) print text[i]
        else if (text[i] ~ /^  [a-z]/) {
          split(text[i], f, " ")
          row(f[1])
        }
      }
      exit bad
    }' >"$drawn"
if [ "${1:-}" = --write ]; then
  cp "$drawn" "$page"
elif ! diff -u "$page" "$drawn"; then
  echo "architecture: the drawing and the imports differ; scripts/check-architecture.sh --write draws them anew" >&2
  exit 1
fi
