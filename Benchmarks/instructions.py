#!/usr/bin/env python3
"""Guards the speed of a few paths by counting instructions, which a busy machine does not change.

Each path is run under callgrind with two numbers of messages; the difference, divided, is what one message costs. It may
not be more than the limit below: what was measured when the limit was set, and a tenth. A change that makes a path
cheaper should lower its limit.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / ".build-static" / "release" / "sidecar-bench"
SERVER = ROOT / ".build" / "bench" / "bin" / "bench-server"
MANY = (100_000, 400_000)
SOME = (2_000, 8_000)
FEW = (200, 1_000)

# path, arguments, the two numbers of messages, instructions a message at most
PATHS = [
    ("parse: 16 B to the handler", ["hose", "--api", "handler", "--size", "16"], MANY, 48),
    ("deliver: 128 B to a blocking receive", ["hose", "--api", "blocking", "--size", "128"], MANY, 365),
    ("encode: 128 B from a blocking send", ["send", "--api", "blocking", "--size", "128"], MANY, 780),
    ("wait: a round trip from a blocking thread", ["echo-blocking", "--api", "blocking", "--size", "128"], SOME, 6_200),
    ("cycle: connect and close on a shared thread", ["cycles", "--api", "shared-thread"], FEW, 116_000),
]


def count_instructions(bench: pathlib.Path, url: str, arguments: list[str], count: int) -> int:
    """Run one path once; return how many instructions the whole process took."""
    with tempfile.NamedTemporaryFile() as profile:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile.name}", str(bench), *arguments]
        result = subprocess.run(
            [*command, "--url", url, "--count", str(count)],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    counted = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or not counted or f'"messages":{count}' not in result.stdout:
        sys.exit(f"{' '.join(arguments)} failed:\n{result.stdout}{result.stderr[-2000:]}")
    return int(counted[1])


def main() -> None:
    """Measure each path; exit with a failure if one is over its limit."""
    with tempfile.TemporaryDirectory() as directory:
        # A copy without debug information: valgrind 3.19 stops at the DWARF 5 of the C targets.
        bench = pathlib.Path(directory) / BENCH.name
        subprocess.run(["strip", "--strip-debug", "-o", bench, BENCH], check=True)
        measure(bench)


def measure(bench: pathlib.Path) -> None:
    """Measure each path of the program; exit with a failure if one is over its limit."""
    server = subprocess.Popen([SERVER], stdout=subprocess.PIPE, text=True)
    try:
        port = re.search(r"\d+", server.stdout.readline())[0]
        failed = False
        for name, arguments, counts, limit in PATHS:
            few, many = (
                count_instructions(bench, f"ws://127.0.0.1:{port}", arguments, count) for count in counts
            )
            each = (many - few) / (counts[1] - counts[0])
            failed |= each > limit
            print(f"{name:44} {each:9.1f} instructions a message, at most {limit}{' TOO MANY' if each > limit else ''}")
    finally:
        server.kill()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
