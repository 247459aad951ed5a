"""What Sidecar is to reach: each goal compares one of its rows with another row of the same round.

A reference is a row's title, `best peer`, or `best of all` (limits and peers together).
"""

from dataclasses import dataclass
from statistics import median

from .analysis import middle_half, ratios
from .peers import LIMIT, PEER
from .workloads import find

BEST_PEER, BEST_OF_ALL = "best peer", "best of all"
_NIO_ASYNC = "SwiftNIO, NIOAsyncChannel"
_COUNT, _COPY = "raw C, count only", "raw C, copy"


@dataclass(frozen=True)
class Goal:
    """In `workload`, `row` is at least `factor` times as good as `reference`."""

    workload: str
    row: str
    factor: float
    reference: str
    aim: bool = False  # wished for beyond what is asked: shown, but not failed for


def _goals(workload: str, row: str, *wanted: tuple[float, str]) -> list[Goal]:
    return [Goal(workload, f"Sidecar, {row}", factor, reference) for factor, reference in wanted]


GOALS = [
    *_goals("hose-16", "handler", (0.5, _COUNT), (5, BEST_PEER)),
    Goal("hose-16", "Sidecar, handler", 0.8, _COUNT, aim=True),
    *_goals("hose-16", "inbound", (1.2, BEST_PEER), (5, _NIO_ASYNC)),
    *_goals("hose-128", "inbound", (1.2, BEST_PEER), (5, _NIO_ASYNC)),
    *_goals("hose-16", "blocking", (1.2, BEST_PEER)),
    *_goals("hose-128", "blocking", (1.2, BEST_PEER)),
    *_goals("hose-16", "messages", (2, _NIO_ASYNC)),
    *_goals("hose-1024", "handler", (0.8, _COPY), (1, BEST_PEER)),
    *_goals("hose-1024", "inbound", (0.8, _COPY), (1, BEST_PEER)),
    *_goals("hose-1024", "blocking", (0.8, _COPY), (1, BEST_PEER)),
    *_goals("hose-16384", "handler", (0.95, BEST_OF_ALL)),
    *_goals("hose-16384", "inbound", (0.95, BEST_OF_ALL)),
    *_goals("hose-16384", "blocking", (0.95, BEST_OF_ALL)),
    *_goals("hose-1048576", "handler", (0.95, BEST_OF_ALL)),
    *_goals("hose-1048576", "inbound", (0.95, BEST_OF_ALL)),
    *_goals("hose-1048576", "blocking", (0.95, BEST_OF_ALL)),
    *_goals("text-128", "inbound", (1.5, BEST_PEER)),
    *_goals("send-128", "inbound", (5, BEST_PEER)),
    *_goals("send-128", "blocking", (5, BEST_PEER)),
    *_goals("echo-128", "handler", (1 / 1.1, "raw C, epoll")),
    *_goals("echo-128", "inbound", (1 / 0.75, _NIO_ASYNC)),
    *_goals("echo-blocking-128", "blocking", (1 / 1.05, "raw C, two threads, direct writes"), (1, BEST_PEER)),
    *_goals("cycles", "a thread each", (3, "websockets, sync")),
    *_goals("cycles", "one thread for all", (0.6, "raw C, epoll")),
    *_goals("deflate-1024", "inbound", (0.9, "zlib's inflate alone")),
]

# Goals on a figure by itself: at most so many KiB for an idle connection, at least that share of a lone one's rate.
BOUNDS = [
    ("idle", "Sidecar, one thread for all", "at most", 4.0),
    ("idle", "Sidecar, a thread each", "at most", 64.0),
    ("crowd", "Sidecar, one thread for all", "at least", 0.9),
]


def contenders(workload: str, rows: dict[str, dict]) -> list[str]:
    """Name the rows that decide a workload's goals: those that one names, the limits, and the two best peers so far."""
    goals = [goal for goal in GOALS if goal.workload == workload and goal.row in rows]
    bounded = {title for key, title, _, _ in BOUNDS if key == workload}
    if not goals:
        return [title for title, row in rows.items() if title in bounded and "median" in row]
    chosen = {title for title, row in rows.items() if row["role"] == LIMIT} | {goal.row for goal in goals}
    chosen |= {goal.reference for goal in goals if goal.reference in rows}
    # With the best of the others, or a ratio to them would be one to whoever is left.
    peers = [title for title, row in rows.items() if row["role"] == PEER and "median" in row]
    higher = find(workload).measure.higher_is_better
    chosen |= set(sorted(peers, key=lambda title: rows[title]["median"], reverse=higher)[:2])
    return [title for title in rows if title in chosen and "median" in rows[title]]


def _references(goal: Goal, rows: dict[str, dict]) -> list[float | None]:
    if goal.reference in rows:
        return rows[goal.reference]["samples"]
    roles = (PEER,) if goal.reference == BEST_PEER else (LIMIT, PEER)
    higher = find(goal.workload).measure.higher_is_better
    candidates = [row["samples"] for row in rows.values() if row["role"] in roles]
    found = []
    for turn in zip(*candidates, strict=True):
        values = [value for value in turn if value is not None]
        found.append((max if higher else min)(values) if values else None)
    return found


def _present(samples: list[float | None]) -> list[float]:
    return [sample for sample in samples if sample is not None]


def judge(workloads: dict[str, dict[str, dict]]) -> list[dict]:
    """Measure each goal whose rows were run; more than `factor` is met."""
    judged = []
    for goal in GOALS:
        rows = workloads.get(goal.workload, {})
        known = goal.reference in (BEST_PEER, BEST_OF_ALL) or rows.get(goal.reference, {}).get("median")
        if not known or not rows.get(goal.row, {}).get("median"):
            continue
        found = ratios(find(goal.workload), rows[goal.row]["samples"], _references(goal, rows))
        if found:
            reached = median(found)
            verdict = {"reached": reached, "middle_half": middle_half(found), "met": reached >= goal.factor}
            judged.append(vars(goal) | verdict)
    for key, title, bound, limit in BOUNDS:
        row = workloads.get(key, {}).get(title, {})
        if "median" in row:
            reached = row["median"]
            met = reached <= limit if bound == "at most" else reached >= limit
            wanted = f"{bound} {limit:g} {find(key).measure.unit}"
            verdict = {"reached": reached, "middle_half": middle_half(_present(row["samples"])), "met": met}
            judged.append({"workload": key, "row": title, "bound": wanted} | verdict)
    return judged
