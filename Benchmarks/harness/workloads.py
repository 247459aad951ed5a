"""What is measured: each workload with its sizes, its measure, and what its result has to be."""

from dataclasses import dataclass, field

from . import payload


@dataclass(frozen=True)
class Measure:
    """How one run's figure is read from its result."""

    name: str
    unit: str
    higher_is_better: bool

    def read(self, result: dict) -> float:
        """Take the figure from a peer's line of JSON."""
        if self.name == "rate":
            return result["messages"] / result["seconds"]
        return float(result[self.name])


RATE = Measure("rate", "messages/s", True)
CYCLES = Measure("rate", "connections/s", True)
LATENCY = Measure("p50_us", "µs (p50)", False)
MEMORY = Measure("kib_per_connection", "KiB", False)
SHARE = Measure("share", "× its rate alone", True)


@dataclass(frozen=True)
class Workload:
    """One column of the table: a peer's WORKLOAD argument, and with what."""

    key: str
    title: str
    name: str
    measure: Measure
    size: int = 0
    kind: str = "binary"
    quick: bool = False
    first_count: int = 1000  # where the search for a count that takes long enough starts
    fixed_count: int | None = None
    rounds: int = 100  # at most so many: memory does not vary as time does, and some runs take long
    maximum_count: int = 400_000_000
    extra: tuple[str, ...] = field(default=())  # further figures of the result that the tables show

    def arguments(self, count: int, warmup: int) -> list[str]:
        """Make the arguments behind a peer's command."""
        made = ["--count", str(count), "--warmup", str(warmup)]
        if self.size:
            made += ["--size", str(self.size), "--kind", self.kind]
        return made

    def complaint(self, result: dict, count: int) -> str | None:
        """Say what is wrong with a result, if anything is."""
        if result["messages"] != count:
            return f"{result['messages']} messages instead of {count}"
        if self.size and self.measure is not SHARE and result["bytes"] != count * self.size:
            return f"{result['bytes']} bytes instead of {count * self.size}"
        expected = {
            "hose": payload.hose_checksum,
            "deflate": payload.hose_checksum,
            "send": payload.sent_checksum,
        }.get(self.name)
        if expected and result.get("checksum") != expected(count):
            return "the checksum is wrong"
        if result["seconds"] <= 0:
            return "no time has passed"
        return None


def _hose(size: int, label: str, kind: str = "binary", **options) -> Workload:
    key = f"{'hose' if kind == 'binary' else 'text'}-{size}"
    return Workload(key, f"Fire-hose in, {label}, {kind}", "hose", RATE, size, kind, **options)


WORKLOADS = [
    _hose(16, "16 B", quick=True, first_count=5000),
    _hose(128, "128 B", quick=True, first_count=5000),
    _hose(1024, "1 KiB", first_count=2000),
    _hose(16384, "16 KiB", quick=True, first_count=300),
    _hose(1 << 20, "1 MiB", first_count=16),
    _hose(128, "128 B", "text", quick=True, first_count=5000),
    _hose(16384, "16 KiB", "text", first_count=300),
    Workload("deflate-1024", "Fire-hose in, 1 KiB, text, permessage-deflate", "deflate", RATE, 1024, quick=True),
    Workload("send-128", "Pipelined sends out, 128 B", "send", RATE, 128, quick=True),
    Workload("send-16384", "Pipelined sends out, 16 KiB", "send", RATE, 16384, first_count=300),
    Workload(
        "echo-128",
        "Echo round trip, 128 B, where the connection lives",
        "echo",
        LATENCY,
        128,
        quick=True,
        first_count=500,
        maximum_count=200_000,
        extra=("p99_us", "p999_us"),
    ),
    Workload(
        "echo-blocking-128",
        "Echo round trip, 128 B, from a plain thread that blocks",
        "echo-blocking",
        LATENCY,
        128,
        quick=True,
        first_count=500,
        maximum_count=200_000,
        extra=("p99_us", "p999_us"),
    ),
    # Each cycle leaves a TIME_WAIT behind: the ephemeral ports bound the count.
    Workload(
        "cycles",
        "Connect and close",
        "cycles",
        CYCLES,
        quick=True,
        first_count=100,
        maximum_count=4000,
        extra=("shutdown_p50_us", "shutdown_p99_us"),
    ),
    Workload(
        "idle",
        "Resident memory of an idle connection (1,000 of them)",
        "idle",
        MEMORY,
        fixed_count=1000,
        rounds=2,
        extra=("threads_open",),
    ),
    Workload(
        "crowd",
        "One busy connection (128 B in) among 10,000 idle ones on its thread",
        "crowd",
        SHARE,
        128,
        fixed_count=10_000,
        rounds=8,
        extra=("alone_per_s", "open_us", "pong_us", "shutdown_us"),
    ),
]


def find(key: str) -> Workload:
    """Find a workload by its key."""
    for workload in WORKLOADS:
        if workload.key == key:
            return workload
    raise KeyError(key)
