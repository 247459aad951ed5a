#!/usr/bin/env bash
# Makes the Python environment of the differential tests: .build/differential-venv with the newest `wsproto` and
# `websockets`. Does nothing if it is there. Safe to run several times at once.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$root/.build/differential-venv
mkdir -p "$root/.build"

# A lock on a descriptor is given back however this script ends.
exec 9>"$venv.lock"
flock 9
[ -e "$venv/version" ] && exit 0

"$root/.ci/setup"
python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade websockets wsproto
# Moved into place last: an environment that was left half made is made again.
"$venv/bin/python" -c 'import websockets, wsproto; print("websockets", websockets.__version__, "wsproto", wsproto.__version__)' \
  >"$venv/version.new"
mv "$venv/version.new" "$venv/version"
echo "differential: $(cat "$venv/version")"
