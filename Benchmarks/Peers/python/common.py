"""What the Python peers share: the command line, the clock, and the line of JSON. See Peers/README.md."""

import argparse
import json
import math
import sys
import time

MODULUS = 2**32


def parse_arguments(apis: list[str]) -> argparse.Namespace:
    """Read the command line that all peers have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workload")
    parser.add_argument("--url", required=True)
    parser.add_argument("--api", choices=apis, default=apis[0])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--kind", choices=["binary", "text"], default="binary")
    parser.add_argument("--warmup", type=int, default=0)
    return parser.parse_args()


def hose_url(arguments: argparse.Namespace, count: int) -> str:
    """Make the URL of a fire-hose, compressed if the workload is `deflate`."""
    deflate = arguments.workload == "deflate"
    kind = "text" if deflate else arguments.kind
    return f"{arguments.url}/hose?size={arguments.size}&count={count}&kind={kind}{'&deflate=1' if deflate else ''}"


def payload(arguments: argparse.Namespace) -> bytes:
    """Make what is sent: the sink expects each message to end in 'a'."""
    return b"x" * (arguments.size - 1) + b"a"


class Run:
    """One timed run: what it counted, and from when to when."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.checksum = 0
        self.extra: dict[str, float] = {}
        self.begin = time.perf_counter()
        self.end = self.begin

    def stop(self) -> "Run":
        """Stop the clock."""
        self.end = time.perf_counter()
        return self

    def take_report(self, text: str) -> "Run":
        """Stop the clock, and take the counts from the sink's report."""
        self.stop()
        report = json.loads(text)
        self.messages, self.bytes, self.checksum = report["messages"], report["bytes"], report["checksum"]
        return self

    def take_samples(self, samples: list[float], size: int) -> "Run":
        """Stop the clock, and take the percentiles (nearest rank) of round trips of `size` bytes each."""
        self.stop()
        self.messages = len(samples)
        self.bytes = size * len(samples)
        samples.sort()
        for name, share in (("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)):
            self.extra[name] = round(samples[max(0, math.ceil(share * len(samples)) - 1)] * 1e6, 2)
        return self


def status_number(name: str) -> int:
    """Read a number from /proc/self/status, such as VmRSS in KiB."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def print_result(peer: str, version: str, arguments: argparse.Namespace, run: Run) -> None:
    """Print the line of JSON that ends a peer's run."""
    result = {
        "peer": peer,
        "api": arguments.api,
        "workload": arguments.workload,
        "version": f"{version}, Python {sys.version.split()[0]}",
        "messages": run.messages,
        "bytes": run.bytes,
        "seconds": round(run.end - run.begin, 6),
        "resident_kib": status_number("VmRSS"),
        "threads": status_number("Threads"),
    }
    if run.checksum:
        result["checksum"] = run.checksum
    print(json.dumps(result | run.extra))
