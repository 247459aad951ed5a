#!/usr/bin/env python3
"""Measure Sidecar and its peers against the same server, in turns, and write tables and charts.

  Benchmarks/run.py              everything, about 15 minutes
  Benchmarks/run.py --quick      about 2 minutes
  Benchmarks/run.py --list       what there is, what is present, and why something is absent
  Benchmarks/run.py --render     the tables and charts again, from the last results
  Benchmarks/run.py --publish    the last results into Docs/Performance.md, and the charts beside it

Needs what Benchmarks/Peers/setup.sh makes. Writes .build/bench/results.json, results.md and charts/.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from pathlib import Path

from harness import analysis, charts, goals, report
from harness.peers import BENCH, PRODUCT, ROOT, ROWS, Row, listed_peers
from harness.runner import Pinning, RunError, Server, better_count, find_count, run_once
from harness.workloads import WORKLOADS, Workload, find

DOCS = ROOT / "Docs"

# How long a further round's run is, beside another one: where a machine is shared, many short ones that are near to each other
# in time tell more than a few long ones.
FURTHER_SHARE = 0.4


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer workloads and peers, shorter runs")
    parser.add_argument("--workloads", default="", help="keys or parts of them, separated by commas")
    parser.add_argument("--peers", default="", help="titles or parts of them, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each workload (3)")
    parser.add_argument(
        "--further", type=int, help="rounds more of the rows that a goal compares (none if quick, else 12)"
    )
    parser.add_argument("--seconds", type=float, help="about how long one run takes (0.12 if quick, else 0.5)")
    parser.add_argument("--pin", default="", help="SERVER,CLIENT cores, or none; without it the first two")
    parser.add_argument("--out", type=Path, default=BENCH, help="folder of the results")
    parser.add_argument("--list", action="store_true", help="list workloads and peers, and end")
    parser.add_argument(
        "--render", action="store_true", help="write table and charts of the last results again, and end"
    )
    parser.add_argument(
        "--publish", action="store_true", help="write the last results into Docs/Performance.md, and end"
    )
    parser.add_argument(
        "--require-product", action="store_true", help="fail if a row of Sidecar is absent, fails or misses a goal"
    )
    arguments = parser.parse_args()
    if arguments.further is None:
        arguments.further = 0 if arguments.quick else 12
    arguments.seconds = arguments.seconds or (0.12 if arguments.quick else 0.5)
    return arguments


def chosen(wishes: str, name: str) -> bool:
    """Say whether a name contains one of the wishes, or there are none."""
    parts = [part.strip().lower() for part in wishes.split(",") if part.strip()]
    return not parts or any(part in name.lower() for part in parts)


def chosen_key(wishes: str, key: str) -> bool:
    """Say the same of a workload's key; a wish that is one whole key means that one only, not `hose-16384` by `hose-16`."""
    keys = {workload.key for workload in WORKLOADS}
    parts = [part.strip() for part in wishes.split(",") if part.strip()]
    return not parts or any(part == key if part in keys else part in key for part in parts)


def chosen_workloads(arguments: argparse.Namespace) -> list[Workload]:
    """Choose by --workloads, or by --quick."""
    return [
        workload
        for workload in WORKLOADS
        if chosen_key(arguments.workloads, workload.key)
        and (workload.quick or arguments.workloads or not arguments.quick)
    ]


def chosen_rows(arguments: argparse.Namespace) -> list[Row]:
    """Choose by --peers, or by --quick."""
    return [
        row
        for row in ROWS
        if chosen(arguments.peers, row.title) and (row.quick or arguments.peers or not arguments.quick)
    ]


def processor() -> str:
    """Name the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _without_folder(words: list[str]) -> list[str]:
    """Leave out where the results go, which is a matter of this machine."""
    kept = [word for word in words if not word.startswith("--out=")]
    if "--out" in kept:
        at = kept.index("--out")
        del kept[at : at + 2]
    return kept


def describe_setting(arguments: argparse.Namespace, pinning: Pinning) -> dict:
    """Note under which circumstances this is measured."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "pinning": pinning.describe(),
        "rounds": arguments.rounds,
        "further": arguments.further,
        "seconds": arguments.seconds,
        "further_seconds": round(arguments.seconds * FURTHER_SHARE, 3),
        "load_before": os.getloadavg()[0],
        "command": shlex.join(["Benchmarks/run.py", *_without_folder(sys.argv[1:])]),
    }


class Conductor:
    """Runs rounds and keeps what they gave."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.pinning = Pinning.choose(arguments.pin)
        listed = listed_peers()
        self.rows = []
        self.results = {
            "setting": describe_setting(arguments, self.pinning),
            "workloads": {},
            "versions": {},
            "absent": {},
            "failures": [],
            "goals": [],
        }
        for row in chosen_rows(arguments):
            if absence := row.absence(listed):
                self.results["absent"][row.title] = absence
            else:
                self.rows.append(row)

    def fail(self, row: Row, workload: Workload, reason: str) -> None:
        """Keep a failure for the report."""
        self.results["failures"].append({"workload": workload.key, "row": row.title, "reason": reason})
        print(f"    {row.title}: FAILED: {reason}")

    def measure(self, workload: Workload, server: Server) -> None:
        """Measure all rows of a workload, in rounds."""
        counts: dict[Row, int] = {}
        for row in self.rows:
            if workload.name in row.workloads:
                try:
                    counts[row] = find_count(row, workload, self.arguments.seconds, server, self.pinning)
                except RunError as error:
                    self.fail(row, workload, str(error))
        found = {
            row.title: {
                "role": row.role,
                "command": [*row.command, workload.name, "--api", row.api],
                "count": count,
                "samples": [],
                "results": [],
            }
            for row, count in counts.items()
        }
        rounds = min(self.arguments.rounds, workload.rounds)
        for turn in range(rounds):
            self.measure_round(turn, workload, counts, self.arguments.seconds, found, server)
        analysis.analyse(workload.key, found)
        # What a goal depends on is worth a closer look.
        titles = goals.contenders(workload.key, found)
        share = 1 if workload.fixed_count else FURTHER_SHARE
        contenders = {row: max(10, int(count * share)) for row, count in counts.items() if row.title in titles}
        if contenders:
            for turn in range(rounds, min(rounds + self.arguments.further, workload.rounds)):
                self.measure_round(turn, workload, contenders, self.arguments.seconds * share, found, server)
        analysis.analyse(workload.key, found)
        self.results["workloads"][workload.key] = found
        best = sorted(
            ((entry["median"], title) for title, entry in found.items() if "median" in entry),
            reverse=workload.measure.higher_is_better,
        )
        for value, title in best:
            print(f"    {report.figure(value):>9}  {title}")

    def measure_round(
        self,
        turn: int,
        workload: Workload,
        counts: dict[Row, int],
        seconds: float,
        found: dict[str, dict],
        server: Server,
    ) -> None:
        """Run these rows once each, for about `seconds`; the others have no figure of this round."""
        # Each round in another order, so that nobody always runs after the same one.
        order = list(counts)
        order = order[turn % len(order) :] + order[: turn % len(order)] if order else []
        for row in order:
            count = counts[row]
            warmup = 0 if workload.fixed_count else max(1, int(count * row.warmup))
            entry = found[row.title]
            try:
                result = run_once(row, workload, count, warmup, server, self.pinning)
            except RunError as error:
                self.fail(row, workload, str(error))
                continue
            counts[row] = better_count(count, workload, seconds, result["seconds"])
            entry["samples"].append(workload.measure.read(result))
            entry["results"].append(result)
            self.results["versions"][row.title] = result.get("version", "")
        for entry in found.values():
            entry["samples"] += [None] * (turn + 1 - len(entry["samples"]))

    def run(self) -> None:
        """Measure everything that was chosen."""
        began = time.monotonic()
        with Server(self.pinning) as server:
            for workload in chosen_workloads(self.arguments):
                print(f"[{time.monotonic() - began:5.0f} s] {workload.title}, {workload.measure.unit}", flush=True)
                self.measure(workload, server)
        self.results["goals"] = goals.judge(self.results["workloads"])
        self.results["setting"]["took_seconds"] = round(time.monotonic() - began)


def write_charts(results: dict, folder: Path) -> None:
    """Draw one chart a workload."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, rows in results["workloads"].items():
        if chart := charts.bar_chart(find(key), rows, results["setting"]):
            (folder / f"{key}.svg").write_text(chart)


def write(results: dict, out: Path) -> None:
    """Write JSON, table and charts."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (out / "results.md").write_text(report.markdown(results))
    write_charts(results, out / "charts")
    print(f"{out}/results.json, results.md, charts/")


def publish(results: dict) -> None:
    """Put the tables into Docs/Performance.md, behind what is written there by hand, and the charts beside it."""
    page = DOCS / "Performance.md"
    by_hand, mark, _ = page.read_text().partition(report.MARK)
    if not mark:
        sys.exit(f"{page} has no line {report.MARK}")
    page.write_text(by_hand + mark + "\n\n" + report.markdown(results, heading="## The figures"))
    for old in (DOCS / "charts").glob("*.svg"):
        old.unlink()
    write_charts(results, DOCS / "charts")
    print(f"{page} and its charts")


def list_all() -> None:
    """Print what there is."""
    listed = listed_peers()
    print("Workloads:")
    for workload in WORKLOADS:
        print(f"  {workload.key:18} {workload.title}{'  (quick)' if workload.quick else ''}")
    print("Peers:")
    for row in ROWS:
        state = row.absence(listed) or "present"
        print(f"  {row.title:42} {', '.join(row.workloads)}\n  {'':42} {state}{'  (quick)' if row.quick else ''}")


def product_complaints(results: dict) -> list[str]:
    """Say what keeps this run from being a full one of Sidecar."""
    titles = {row.title for row in ROWS if row.role == PRODUCT}
    complaints = [f"{title} is absent: {reason}" for title, reason in results["absent"].items() if title in titles]
    complaints += [
        f"{failure['row']} failed in {failure['workload']}"
        for failure in results["failures"]
        if failure["row"] in titles
    ]
    for goal in results["goals"]:
        if not goal["met"] and not goal.get("aim"):
            wanted = f"{goal['factor']:.2f} × {goal['reference']}" if "factor" in goal else goal["bound"]
            complaints.append(
                f"{goal['row']} misses its goal in {goal['workload']}: {goal['reached']:.2f}, not {wanted}"
            )
    return complaints


def main() -> int:
    """Run, write, and judge if that was asked for."""
    arguments = parse_arguments()
    if arguments.list:
        list_all()
        return 0
    if arguments.publish:
        publish(json.loads((arguments.out / "results.json").read_text()))
        return 0
    if arguments.render:
        write(json.loads((arguments.out / "results.json").read_text()), arguments.out)
        return 0
    conductor = Conductor(arguments)
    for title, reason in conductor.results["absent"].items():
        print(f"absent: {title}: {reason}")
    conductor.run()
    write(conductor.results, arguments.out)
    if not arguments.require_product:
        return 0
    complaints = product_complaints(conductor.results)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
