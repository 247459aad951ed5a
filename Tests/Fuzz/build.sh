#!/usr/bin/env bash
# Builds the fuzzer: the protocol's sources, the targets and the driver, by the compiler itself, because a package that
# asks for -sanitize=fuzzer needs unsafe flags, which its users would have to allow.
#
#   build.sh [--release]     prints the path of the program
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mode=debug
flags=(-Onone -g)
if [ "${1:-}" = --release ]; then
  mode=release
  # Assertions are what a fuzzer looks for: -O keeps preconditions only, so they are kept by hand.
  flags=(-O -g -assert-config Debug)
fi
out=$root/.build-fuzz/$mode
mkdir -p "$out"

# A lock on a descriptor is given back however this script ends.
exec 9>"$out/lock"
flock 9

features=()
for feature in ExistentialAny InternalImportsByDefault MemberImportVisibility NonisolatedNonsendingByDefault; do
  features+=(-enable-upcoming-feature "$feature")
done
modules=(-Xcc "-fmodule-map-file=$root/Sources/CZlib/module.modulemap"
  -Xcc "-fmodule-map-file=$root/Sources/COpenSSL/module.modulemap" -I "$root/Sources/CZlib" -I "$root/Sources/COpenSSL"
  -I "$root/Sources/CSystem/include")
common=(swiftc -swift-version 6 -package-name sidecar -parse-as-library "-sanitize=fuzzer,address" -wmo
  "${flags[@]}" "${modules[@]}" -I "$out" -module-cache-path "$out/modules")

# Whether something is newer than the program, or gone.
stamp=$(find "$root/Sources/CSystem" "$root/Sources/WebSocketProtocol" "$root/Tests/Fuzz/Targets" "$root/Tests/Fuzz/Driver" \
  "${BASH_SOURCE[0]}" -type f -printf '%p %T@\n' | sort | cksum)
if [ -x "$out/fuzz" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "$out/fuzz"
  exit 0
fi

cd "$out"
clang -O2 -g -fsanitize=fuzzer-no-link,address -I "$root/Sources/CSystem/include" -c "$root/Sources/CSystem/CSystem.c" -o CSystem.o >&2
"${common[@]}" "${features[@]}" -module-name WebSocketProtocol -emit-module -emit-library -static \
  -o libWebSocketProtocol.a "$root"/Sources/WebSocketProtocol/*.swift >&2
"${common[@]}" -module-name FuzzTargets -emit-module -emit-library -static \
  -o libFuzzTargets.a "$root"/Tests/Fuzz/Targets/*.swift >&2
# lld, because gold warns about each symbol of the sanitizer.
"${common[@]}" -module-name FuzzDriver -use-ld=lld -o fuzz.new "$root"/Tests/Fuzz/Driver/*.swift \
  -L . -lFuzzTargets -lWebSocketProtocol CSystem.o -lssl -lcrypto -lz >&2
mv fuzz.new fuzz
echo "$stamp" >stamp
echo "$out/fuzz"
