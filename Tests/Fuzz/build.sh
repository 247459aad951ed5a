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
modules=(-Xcc "-fmodule-map-file=$root/Sources/CSidecarZlib/module.modulemap"
  -Xcc "-fmodule-map-file=$root/Sources/CSidecarOpenSSL/module.modulemap" -I "$root/Sources/CSidecarZlib" -I "$root/Sources/CSidecarOpenSSL"
  -I "$root/Sources/CSidecarBytes/include")
common=(swiftc -swift-version 6 -package-name sidecar -parse-as-library "-sanitize=fuzzer,address" -wmo
  "${flags[@]}" "${modules[@]}" -I "$out" -module-cache-path "$out/modules")

# Whether something is newer than the program, or gone.
stamp=$(find "$root/Sources/CSidecarBytes" "$root/Sources/SidecarProtocol" "$root/Tests/Fuzz/Targets" "$root/Tests/Fuzz/Driver" \
  "${BASH_SOURCE[0]}" -type f -printf '%p %T@\n' | sort | cksum)
if [ -x "$out/fuzz" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "$out/fuzz"
  exit 0
fi

cd "$out"
clang -O2 -g -fsanitize=fuzzer-no-link,address -I "$root/Sources/CSidecarBytes/include" -c "$root/Sources/CSidecarBytes/CSidecarBytes.c" -o CSidecarBytes.o >&2
"${common[@]}" "${features[@]}" -module-name SidecarProtocol -emit-module -emit-library -static \
  -o libSidecarProtocol.a $(find "$root/Sources/SidecarProtocol" -name "*.swift" | sort) >&2
"${common[@]}" -module-name SidecarFuzzTargets -emit-module -emit-library -static \
  -o libSidecarFuzzTargets.a "$root"/Tests/Fuzz/Targets/*.swift >&2
# lld, because gold warns about each symbol of the sanitizer.
"${common[@]}" -module-name FuzzDriver -use-ld=lld -o fuzz.new "$root"/Tests/Fuzz/Driver/*.swift \
  -L . -lSidecarFuzzTargets -lSidecarProtocol CSidecarBytes.o -lssl -lcrypto -lz >&2
mv fuzz.new fuzz
echo "$stamp" >stamp
echo "$out/fuzz"
