#!/usr/bin/env bash
# Builds the fuzzer from the protocol's sources, the targets and the driver. It calls the compiler itself:
# -sanitize=fuzzer in the manifest would be an unsafe flag, which SwiftPM forbids in a dependency.
#
#   build.sh [--release]     prints the path of the program
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mode=debug
flags=(-Onone -g)
if [ "${1:-}" = --release ]; then
  mode=release
  # A fuzzer looks for failed assertions. -O alone would remove them, and keep only preconditions.
  flags=(-O -g -assert-config Debug)
fi
out=$root/.build-fuzz/$mode
mkdir -p "$out"

# The system releases the lock when this script ends, however it does.
exec 9>"$out/lock"
flock 9

features=()
for feature in ExistentialAny InternalImportsByDefault MemberImportVisibility NonisolatedNonsendingByDefault; do
  features+=(-enable-upcoming-feature "$feature")
done
modules=()
for library in CSidecarZlib CSidecarOpenSSL; do
  modules+=(-Xcc "-fmodule-map-file=$root/Sources/$library/module.modulemap" -I "$root/Sources/$library")
done
# The C targets with code: those that have a source file.
c_sources=("$root"/Sources/CSidecar*/*.c)
for source in "${c_sources[@]}"; do
  modules+=(-I "$(dirname "$source")/include")
done
common=(swiftc -swift-version 6 -package-name sidecar -parse-as-library "-sanitize=fuzzer,address" -wmo
  "${flags[@]}" "${modules[@]}" -I "$out" -module-cache-path "$out/modules")

# Changes when a file is changed, added or removed.
stamp=$(find "$root"/Sources/CSidecar* "$root/Sources/SidecarProtocol" \
  "$root/Tests/Fuzz/Targets" "$root/Tests/Fuzz/Driver" "${BASH_SOURCE[0]}" -type f -printf '%p %T@\n' | sort | cksum)
if [ -x "$out/fuzz" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "$out/fuzz"
  exit 0
fi

cd "$out"
objects=()
for source in "${c_sources[@]}"; do
  object=$(basename "$source" .c).o
  clang -O2 -g -fsanitize=fuzzer-no-link,address -I "$(dirname "$source")/include" -c "$source" -o "$object" >&2
  objects+=("$object")
done
"${common[@]}" "${features[@]}" -module-name SidecarProtocol -emit-module -emit-library -static \
  -o libSidecarProtocol.a $(find "$root/Sources/SidecarProtocol" -name "*.swift" | sort) >&2
"${common[@]}" -module-name SidecarFuzzTargets -emit-module -emit-library -static \
  -o libSidecarFuzzTargets.a "$root"/Tests/Fuzz/Targets/*.swift >&2
# lld, because gold warns about every symbol of the sanitizer.
"${common[@]}" -module-name FuzzDriver -use-ld=lld -o fuzz.new "$root"/Tests/Fuzz/Driver/*.swift \
  -L . -lSidecarFuzzTargets -lSidecarProtocol "${objects[@]}" -lssl -lcrypto -lz >&2
mv fuzz.new fuzz
echo "$stamp" >stamp
echo "$out/fuzz"
