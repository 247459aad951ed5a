"""Runs: the server on one core, a peer on the other, one result at a time, each checked."""

import json
import os
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .peers import BENCH, Row
from .workloads import Workload

RUN_LIMIT = 90.0  # seconds after which a peer is given up


class RunError(Exception):
    """A run that gave no result, or a wrong one."""


@dataclass(frozen=True)
class Pinning:
    """Which core each side is bound to; None binds neither."""

    server: int | None
    client: int | None

    @staticmethod
    def choose(wish: str) -> "Pinning":
        """Read `none`, or `SERVER,CLIENT`, or take the first two cores there are."""
        cores = sorted(os.sched_getaffinity(0))
        if wish == "none" or len(cores) < 2 or not shutil.which("taskset"):
            return Pinning(None, None)
        if wish:
            server, client = (int(core) for core in wish.split(","))
            return Pinning(server, client)
        return Pinning(cores[0], cores[1])

    def server_prefix(self) -> list[str]:
        """Make what stands before the server's command."""
        return [] if self.server is None else ["taskset", "-c", str(self.server)]

    def client_prefix(self) -> list[str]:
        """Make what stands before a peer's command."""
        return [] if self.client is None else ["taskset", "-c", str(self.client)]

    def describe(self) -> str:
        """Say it in words."""
        if self.server is None:
            return "not pinned"
        return f"server on core {self.server}, client on core {self.client}"


class Server:
    """The neutral server, as a context."""

    def __init__(self, pinning: Pinning) -> None:
        program = BENCH / "bin" / "bench-server"
        if not program.exists():
            raise SystemExit("bench-server is not built: run Benchmarks/Peers/setup.sh, or make -C Benchmarks/Servers")
        self.process = subprocess.Popen(
            [*pinning.server_prefix(), str(program)], stdout=subprocess.PIPE, text=True, cwd=Path("/")
        )
        self.port = int(self.process.stdout.readline())

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    @property
    def url(self) -> str:
        """The URL that peers get, to which they add a path."""
        return f"ws://127.0.0.1:{self.port}"

    def statistics(self) -> dict:
        """Ask for the server's own counts."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{self.port}/stats", timeout=10
        ) as answer:
            return json.load(answer)


def run_once(row: Row, workload: Workload, count: int, warmup: int, server: Server, pinning: Pinning) -> dict:
    """Run a peer once and check what it says, against the rule and against what the server saw."""
    command = [*pinning.client_prefix(), *row.command, workload.name, "--api", row.api, "--url", server.url]
    command += workload.arguments(count, warmup)
    before = server.statistics()
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT,
            env=os.environ | dict(row.environment),
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"no result after {RUN_LIMIT:.0f} s") from error
    if finished.returncode != 0:
        lines = finished.stderr.strip().splitlines()
        raise RunError(lines[-1] if lines else f"ended with status {finished.returncode}")
    try:
        result = json.loads(finished.stdout.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise RunError("printed no line of JSON") from error
    complaint = workload.complaint(result, count)
    after = server.statistics()
    if after["violations"] != before["violations"]:
        complaint = "broke the protocol"
    if workload.name == "cycles" and after["closed"] - before["closed"] < count:
        complaint = f"only {after['closed'] - before['closed']} of {count} connections closed cleanly"
    if complaint:
        raise RunError(complaint)
    return result


def better_count(count: int, workload: Workload, seconds: float, taken: float) -> int:
    """Correct a count that took so long, where about `seconds` was wanted: it was found when the machine was at another speed."""
    if workload.fixed_count:
        return count
    return max(10, min(int(count * min(2.0, max(0.5, seconds / taken))), workload.maximum_count))


def find_count(row: Row, workload: Workload, seconds: float, server: Server, pinning: Pinning) -> int:
    """Search for the count of messages that takes about `seconds`."""
    if workload.fixed_count:
        return workload.fixed_count
    count = workload.first_count
    while True:
        result = run_once(row, workload, count, int(count * row.warmup), server, pinning)
        taken = result["seconds"]
        if taken >= seconds / 4 or count >= workload.maximum_count:
            return max(10, min(int(count * seconds / taken), workload.maximum_count))
        # Not further than 30 times at once: short runs say little about long ones.
        count = min(int(count * min(30.0, 0.6 * seconds / max(taken, 1e-6))) + 1, workload.maximum_count)
