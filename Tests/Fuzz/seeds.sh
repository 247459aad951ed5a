#!/usr/bin/env bash
# Makes the seed corpus in Tests/Fuzz/Corpus from the conformance cases, and keeps as few as reach the same code.
# Run it after adding cases, and commit the result.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/.build-fuzz/seeds
program=$("$here/build.sh" --release)
export SWIFT_BACKTRACE=enable=no

rm -rf "$out"
mkdir -p "$out"
cases=$root/Tests/SidecarProtocolTests/Conformance
# A module of its own, without the sanitizer: it only writes files.
swiftc -swift-version 6 -package-name sidecar -Onone -module-name Seeds -o "$out/write" \
  -Xcc "-fmodule-map-file=$root/Sources/CSidecarZlib/module.modulemap" \
  -Xcc "-fmodule-map-file=$root/Sources/CSidecarOpenSSL/module.modulemap" \
  -I "$root/Sources/CSidecarBytes/include" -I "$root/.build-fuzz/release" -module-cache-path "$out/modules" \
  "-sanitize=address" -use-ld=lld \
  "$here/Seeds/main.swift" "$cases/ConformanceCases.swift" "$cases/CompressionCases.swift" "$cases/Recorder.swift" \
  -L "$root/.build-fuzz/release" -lSidecarProtocol "$root/.build-fuzz/release/CSidecarBytes.o" \
  -lssl -lcrypto -lz -sanitize-coverage=edge
"$out/write" "$out/all"

for directory in "$out"/all/*; do
  target=$(basename "$directory")
  mkdir -p "$out/merged/$target" "$here/Corpus/$target"
  FUZZ_TARGET=$target "$program" -merge=1 "$out/merged/$target" "$directory" >"$out/$target.log" 2>&1
  find "$here/Corpus/$target" -type f -delete
  # libFuzzer names what it keeps by its hash. The names of the cases say more.
  for file in "$directory"/*; do
    hash=$(sha1sum "$file" | cut -d ' ' -f 1)
    if [ -e "$out/merged/$target/$hash" ]; then
      cp "$file" "$here/Corpus/$target/"
      rm "$out/merged/$target/$hash"
    fi
  done
  echo "$target: $(find "$here/Corpus/$target" -type f | wc -l) seeds"
done
