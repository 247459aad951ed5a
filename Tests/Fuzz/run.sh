#!/usr/bin/env bash
# Fuzzes one target, or all of them one after the other.
#
#   run.sh TARGET|all [--seconds N] [--release] [-- libFuzzer's options]
#
# Starts from the seeds in Tests/Fuzz/Corpus and from what earlier runs have found in .build-fuzz/corpus. An input that
# fails is kept in .build-fuzz/failures/TARGET: put it into Tests/Fuzz/Regressions/TARGET with the fix, and the tests
# replay it from then on.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
all=(frames inflate handshake extensions close connection text)

usage() {
  sed -n '2,4s/^# \{0,1\}//p' "$here/run.sh" >&2
  echo "targets: ${all[*]}" >&2
  exit 2
}

[ $# -ge 1 ] || usage
targets=("$1")
[ "$1" = all ] && targets=("${all[@]}")
shift
seconds=60
build=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds)
      seconds=${2:?}
      shift 2
      ;;
    --release)
      build=(--release)
      shift
      ;;
    --)
      shift
      break
      ;;
    *) usage ;;
  esac
done

program=$("$here/build.sh" "${build[@]}")
# Swift's backtrace conflicts with the sanitizer's, and can take minutes.
export SWIFT_BACKTRACE=enable=no

failed=()
for target in "${targets[@]}"; do
  corpus=$root/.build-fuzz/corpus/$target
  failures=$root/.build-fuzz/failures/$target
  log=$root/.build-fuzz/$target.log
  mkdir -p "$corpus" "$failures" "$here/Corpus/$target"
  options=(-max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=64
    -artifact_prefix="$failures/" -print_final_stats=1)
  if [ -f "$here/$target.dict" ]; then options+=(-dict="$here/$target.dict"); fi
  inputs=("$corpus" "$here/Corpus/$target")
  if [ -d "$here/Regressions/$target" ]; then inputs+=("$here/Regressions/$target"); fi
  if FUZZ_TARGET=$target "$program" "${options[@]}" "$@" "${inputs[@]}" >"$log" 2>&1; then
    done_line=$(grep -aE '[[:space:]]DONE[[:space:]]' "$log" | tail -1 | tr -s ' \t' ' ')
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    echo "$target: no failure in $seconds s, $rate inputs a second:$done_line"
  else
    failed+=("$target")
    echo "$target: FAILED, see $log" >&2
    grep -a -m 3 -E 'Fatal error|ERROR:|Test unit written' "$log" >&2 || tail -5 "$log" >&2
  fi
done
[ ${#failed[@]} -eq 0 ] || exit 1
