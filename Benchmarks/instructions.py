#!/usr/bin/env python3
"""Guards the speed of three paths by counting instructions, which a busy machine does not change.

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
BENCH = ROOT / ".build" / "release" / "sidecar-bench"
SERVER = ROOT / ".build" / "bench" / "bin" / "bench-server"
COUNTS = (100_000, 400_000)

# path, arguments, instructions a message at most
PATHS = [
    ("parse: 16 B to the handler", ["hose", "--api", "handler", "--size", "16"], 70),
    ("deliver: 128 B to a blocking receive", ["hose", "--api", "blocking", "--size", "128"], 365),
    ("encode: 128 B from a blocking send", ["send", "--api", "blocking", "--size", "128"], 780),
]


def count_instructions(url: str, arguments: list[str], count: int) -> int:
    """Run one path once; return how many instructions the whole process took."""
    with tempfile.NamedTemporaryFile() as profile:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile.name}", str(BENCH), *arguments]
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
    server = subprocess.Popen([SERVER], stdout=subprocess.PIPE, text=True)
    try:
        port = re.search(r"\d+", server.stdout.readline())[0]
        failed = False
        for name, arguments, limit in PATHS:
            few, many = (count_instructions(f"ws://127.0.0.1:{port}", arguments, count) for count in COUNTS)
            each = (many - few) / (COUNTS[1] - COUNTS[0])
            failed |= each > limit
            print(f"{name:40} {each:7.1f} instructions a message, at most {limit}{' TOO MANY' if each > limit else ''}")
    finally:
        server.kill()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
