# Sourced by the scripts that start flops serve: work is a folder of the script's own and
# server the process, once there is one; both end with the script.
work=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

# listening FILE: the host:port at which the server whose output FILE is says it is
listening() {
  local at
  for _ in $(seq 100); do
    at=$(sed -n 's|.*http://\([^/]*\)/.*|\1|p' "$1")
    if [ -n "$at" ]; then
      echo "$at"
      return
    fi
    sleep 0.1
  done
  return 1
}

# absent FLAG...: the data and the model of an experiment, as 'flops config show' takes it,
# that are not on this machine, a line each
absent() {
  local path
  bin/flops config show "$@" |
    awk '/^[a-z]/ {section = $1} $1 == "path:" && (section == "data:" || section == "model:") && $2 != "\"\"" {print $2}' |
    while read -r path; do [ -e "$path" ] || echo "$path"; done
}
