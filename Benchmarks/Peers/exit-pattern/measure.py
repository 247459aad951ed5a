#!/usr/bin/env python3
"""Measure how the Python sidecar pattern ends: from exit() to done, and what is left behind. One line of JSON.

  .build/bench/venv/bin/python Benchmarks/Peers/exit-pattern/measure.py [--cycles N] [--turn SECONDS]

Exits, with the pattern's own times (10 s a turn, one minute at most), against a peer that

  answers      sends a message every 100 ms, and answers Close
  silent       sends no message, and would answer Close
  gone         has opened the connection, and then neither reads nor writes
  unanswered   has accepted the TCP connection, and never answers the handshake (the exit comes a second later)

and N cycles of create, receive one message, exit, against the peer that answers. A cycle takes a whole turn, 10 s: 200 of
them more than half an hour. So the cycles have shorter turns (--turn, 0.05 s), and `seconds_at_full_turn` says how long
they would take. What is counted afterwards does not depend on it. Needs bench-server, and `websockets`.
"""

import argparse
import gc
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import websockets
from pattern import PatternClient

SERVER = Path(__file__).resolve().parents[3] / ".build" / "bench" / "bin" / "bench-server"
FULL_TURN = 10.0
PATHS = {"answers": "/tick?every=100&size=16", "silent": "/idle", "gone": "/stall"}


def census() -> dict:
    """Count what this process holds, a moment later: a thread is still in the kernel's list when join() returns."""
    time.sleep(0.1)
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return {
        "threads": int(fields["Threads"]),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "resident_kib": int(fields["VmRSS"].split()[0]),
    }


def difference(after: dict, before: dict) -> dict:
    """Say what is left over."""
    return {name: after[name] - before[name] for name in after}


class Notes(logging.Handler):
    """Keeps what the pattern and asyncio say."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().splitlines()[0])

    def counted(self) -> dict[str, int]:
        """Count equal beginnings of lines."""
        counts: dict[str, int] = {}
        for line in self.lines:
            counts[line[:60]] = counts.get(line[:60], 0) + 1
        return counts


def call_after_exit(client: PatternClient) -> str:
    """Call send() on a client that has ended, and see whether the call ends."""
    outcome = ["hangs: given up after 3 s"]

    def call() -> None:
        try:
            client.send("too late")
            outcome[0] = "returns"
        except Exception as error:  # whatever it is, the call has ended
            outcome[0] = f"raises {type(error).__name__}"

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(3)
    return outcome[0]


def measure_exit(scenario: str, port: int) -> dict:
    """Open one connection and exit it."""
    notes = Notes()
    logging.basicConfig(level=logging.WARNING, handlers=[notes])
    listener = None
    if scenario == "unanswered":
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    before = census()
    client = PatternClient(f"ws://127.0.0.1:{port}{PATHS.get(scenario, '/')}")
    if listener:
        time.sleep(1)
    elif not client.opened.wait(10):
        raise SystemExit(f"{scenario}: the connection did not open")
    if scenario == "answers":
        client.receive()
    start = time.monotonic()
    joined = client.exit()
    seconds = time.monotonic() - start
    left = difference(census(), before)
    late = call_after_exit(client) if client.websocket else "not tried: there was no connection"
    del client
    gc.collect()
    return {
        "seconds": round(seconds, 3),
        "thread_ended": joined,
        "left": {name: left[name] for name in ("threads", "descriptors")},
        "send_after_exit": late,
        "said": notes.counted(),
    }


def measure_cycles(count: int, turn: float, port: int) -> dict:
    """Create, use and exit again and again, and count what is left."""
    notes = Notes()
    logging.basicConfig(level=logging.WARNING, handlers=[notes])
    PatternClient(f"ws://127.0.0.1:{port}{PATHS['answers']}", turn=turn).exit()  # what is only made once is made here
    gc.collect()
    before = census()
    start = time.monotonic()
    unjoined = 0
    for _ in range(count):
        client = PatternClient(f"ws://127.0.0.1:{port}/tick?every=5&size=16", turn=turn)
        client.receive()
        unjoined += not client.exit()
    seconds = time.monotonic() - start
    del client
    left = difference(census(), before)
    gc.collect()
    return {
        "cycles": count,
        "turn_seconds": turn,
        "seconds": round(seconds, 3),
        "seconds_at_full_turn": round(seconds + count * (FULL_TURN - turn)),
        "threads_not_ended": unjoined,
        "left": left,
        "left_after_collection": difference(census(), before),
        "said": notes.counted(),
    }


def main() -> None:
    """Measure all of it: the scenarios side by side, each in a process of its own, and then the cycles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--turn", type=float, default=0.05)
    parser.add_argument("--server", type=Path, default=SERVER)
    parser.add_argument("--scenario", help="measure only this exit, against --port")
    parser.add_argument("--port", type=int)
    arguments = parser.parse_args()
    if arguments.scenario:
        print(json.dumps(measure_exit(arguments.scenario, arguments.port)), flush=True)
        os._exit(0)  # a send() may still hang

    def run_scenario(scenario: str) -> dict:
        command = [sys.executable, __file__, "--scenario", scenario, "--port", str(port)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=180)
        if finished.returncode != 0:
            return {"failed": finished.stderr.strip().splitlines()[-1]}
        return json.loads(finished.stdout)

    server = subprocess.Popen([arguments.server], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        scenarios = [*PATHS, "unanswered"]
        with ThreadPoolExecutor(len(scenarios)) as pool:
            exits = dict(zip(scenarios, pool.map(run_scenario, scenarios), strict=True))
        result = {
            "pattern": "an asyncio loop on a side thread",
            "version": f"websockets {websockets.__version__}, Python {sys.version.split()[0]}",
            "exits": exits,
            "cycles": measure_cycles(arguments.cycles, arguments.turn, port),
        }
    finally:
        server.terminate()
        server.wait()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
