#!/usr/bin/env bash
# Installs what the peers need, builds them, and writes which are present and which are absent, and why, to
# .build/bench/peers.json. A peer that cannot be had is listed as absent; it never makes this script fail.
#
# Usage: setup.sh [--no-install] [PEER…]      (without names: all of them)
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bench=$root/.build/bench
logs=$bench/setup
export OUT=$bench/bin
mkdir -p "$OUT" "$logs"

install=yes
if [ "${1-}" = --no-install ]; then
  install=no
  shift
fi
wanted=("$@")

# MARK: Installing

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

refreshed=no
# Sees to it that Debian packages are installed; says which is missing if that cannot be done.
need_debian() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  reason="not installed: ${missing[*]} (Debian)"
  [ $install = yes ] || return 1
  if [ $refreshed = no ]; then
    as_root apt-get update >"$logs/apt-update.log" 2>&1
    refreshed=yes
  fi
  for package in "${missing[@]}"; do
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package" >"$logs/apt-$package.log" 2>&1; then
      reason="$package cannot be installed from this machine's Debian packages"
      return 1
    fi
  done
}

need_command() {
  command -v "$1" >/dev/null && return 0
  reason="no $1 on this machine"
  return 1
}

venv=$bench/venv
# Sees to it that Python packages are in the benchmarks' own environment.
need_python() {
  need_command python3 || return 1
  if [ ! -x "$venv/bin/python" ] && ! python3 -m venv "$venv" >"$logs/venv.log" 2>&1; then
    reason="python3 -m venv does not work here"
    return 1
  fi
  local package
  for package in "$@"; do
    "$venv/bin/pip" show -q "$package" >/dev/null 2>&1 && continue
    reason="not installed: $package (PyPI)"
    [ $install = yes ] || return 1
    if ! "$venv/bin/pip" install -q "$package" >"$logs/pip-$package.log" 2>&1; then
      reason="$package cannot be installed from PyPI"
      return 1
    fi
  done
}

# Builds with a log of its own.
build() {
  local name=$1
  shift
  "$@" >"$logs/$name.log" 2>&1 && return 0
  reason="does not build: see .build/bench/setup/$name.log"
  return 1
}

# MARK: The peers

# Each function makes one peer ready, or sets `reason` and fails.
peer_raw_c() { need_debian gcc make libc6-dev libssl-dev zlib1g-dev && build raw-c make -C "$here/raw-c"; }
peer_beast() { need_debian g++ make libboost-dev && build beast make -C "$here/beast"; }
peer_libwebsockets() { need_debian gcc make libwebsockets-dev && build libwebsockets make -C "$here/libwebsockets"; }
peer_gorilla() { need_debian golang-go make golang-github-gorilla-websocket-dev && build gorilla make -C "$here/gorilla"; }
peer_node_ws() {
  need_debian node-ws && { need_command node || need_debian nodejs; } &&
    NODE_PATH=/usr/share/nodejs build node-ws node -e "require('ws')"
}
peer_websockets() { need_python websockets uvloop; }
peer_picows() { need_python picows uvloop; }
peer_websocket_client() { need_python websocket-client; }
peer_swiftnio() {
  need_command swift &&
    build swiftnio swift build -c release --static-swift-stdlib --package-path "$here/SwiftNIO" --scratch-path "$bench/swiftnio"
}
peer_ixwebsocket() {
  need_debian libixwebsocket-dev || return 1
  reason="its program is not written: it was not in Debian when the others were"
  return 1
}

all=(raw_c beast libwebsockets gorilla node_ws websockets picows websocket_client swiftnio ixwebsocket)

is_wanted() {
  [ ${#wanted[@]} = 0 ] && return 0
  local name
  for name in "${wanted[@]}"; do [ "${name//-/_}" = "$1" ] && return 0; done
  return 1
}

# The server is no peer: without it nothing can be measured.
reason=
if ! need_debian gcc make libc6-dev libssl-dev zlib1g-dev || ! build servers make -C "$root/Benchmarks/Servers"; then
  echo "setup.sh: the server: $reason" >&2
  exit 1
fi

list=$logs/peers.tsv
touch "$list"
for peer in "${all[@]}"; do
  is_wanted "$peer" || continue
  name=${peer//_/-}
  reason=
  if "peer_$peer"; then
    printf 'present  %s\n' "$name"
    state=present
    reason=
  else
    printf 'absent   %s: %s\n' "$name" "$reason"
    state=absent
  fi
  grep -v "^$name	" "$list" >"$list.new"
  printf '%s\t%s\t%s\n' "$name" "$state" "$reason" >>"$list.new"
  mv "$list.new" "$list"
done

python3 - "$list" "$bench/peers.json" <<'PYTHON'
import json
import sys

rows = [line.rstrip("\n").split("\t") for line in open(sys.argv[1])]
peers = {
    "present": sorted(name for name, state, _ in rows if state == "present"),
    "absent": {name: reason for name, state, reason in sorted(rows) if state == "absent"},
}
with open(sys.argv[2], "w") as out:
    json.dump(peers, out, indent=2)
    out.write("\n")
PYTHON
