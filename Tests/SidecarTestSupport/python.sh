#!/usr/bin/env bash
# Makes the Python environment that the tests' peers run in: .build/test-venv with the newest `websockets` and `wsproto`.
# Does nothing if it is there. Safe to run several times at once.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$root/.build/test-venv
packages=(websockets wsproto)
mkdir -p "$root/.build"

# A lock on a descriptor is given back however this script ends.
exec 9>"$venv.lock"
flock 9
[ -e "$venv/complete" ] && exit 0

"$root/.ci/setup"
python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "${packages[@]}"
"$venv/bin/python" -m pip list --disable-pip-version-check | grep -iE "^($(IFS='|'; echo "${packages[*]}")) "
# Last: an environment that was left half made is made again.
touch "$venv/complete"
