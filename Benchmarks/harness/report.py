"""The results as a page of Markdown tables."""

from .peers import LIMIT, PRODUCT
from .workloads import WORKLOADS, Workload, find

# In Docs/Performance.md: what stands behind it is replaced by each `Benchmarks/run.py --publish`.
MARK = "<!-- What follows was written by `Benchmarks/run.py --publish`. -->"


def figure(value: float) -> str:
    """Write a figure with three digits, and M or k where it is large."""
    for limit, suffix in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= limit * 0.9995:
            return f"{value / limit:.3g}{suffix}" if value < 999.5 * limit else f"{value / limit:.0f}{suffix}"
    return f"{value:.3g}"


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    digits = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def _sorted_titles(workload: Workload, rows: dict[str, dict]) -> list[str]:
    """Sort by the figure, the best one first; rows without one are left out."""
    measured = [title for title, row in rows.items() if "median" in row]
    return sorted(measured, key=lambda title: rows[title]["median"], reverse=workload.measure.higher_is_better)


def _name(title: str, row: dict) -> str:
    if row["role"] == PRODUCT:
        return f"**{title}**"
    return f"*{title}*" if row["role"] == LIMIT else title


def _table(workload: Workload, rows: dict[str, dict]) -> list[str]:
    head = ["", workload.measure.unit, "lowest to highest", "× the limit", "× the best other peer"]
    head += [f"{name[:-3].replace('_', ' ')} (µs)" if name.endswith("_us") else name for name in workload.extra]
    head += ["resident MiB", "threads"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for title in _sorted_titles(workload, rows):
        row = rows[title]
        last = row["results"][-1]
        cells = [
            _name(title, row),
            figure(row["median"]),
            f"{figure(row['lowest'])} to {figure(row['highest'])}",
            _ratio(row.get("to_best_limit")),
            _ratio(row.get("to_best_peer")),
            *(figure(row[name]) if name in row else "" for name in workload.extra),
            f"{last['resident_kib'] / 1024:.1f}",
            str(last["threads"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _goals(goals: list[dict]) -> list[str]:
    lines = [
        "| workload | row | compared with | at least | reached | the middle half | |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for goal in goals:
        what = find(goal["workload"]).title
        verdict = "met" if goal["met"] else "an aim" if goal.get("aim") else "**not met**"
        lower, upper = goal["middle_half"]
        reached, half = f"{goal['reached']:.2f}", f"{lower:.2f} to {upper:.2f}"
        if "bound" in goal:
            compared, wanted = "", goal["bound"]
        else:
            compared, wanted = goal["reference"], f"{goal['factor']:.2f} ×"
            reached += " ×"
        lines.append(f"| {what} | {goal['row']} | {compared} | {wanted} | {reached} | {half} | {verdict} |")
    return [*lines, ""]


def _further(setting: dict) -> str:
    if not setting.get("further"):
        return ""
    seconds = setting["further_seconds"]
    return (
        f", and {setting['further']} rounds more, of {seconds:g} s, of what decides a goal: the rows it names, the limits and "
        "the two best others"
    )


def markdown(results: dict, heading: str = "# Benchmark results") -> str:
    """Write the whole page; below a heading of the second level, sections are of the third."""
    level = heading.partition(" ")[0] + "#"
    setting = results["setting"]
    lines = [
        heading,
        "",
        f"{setting['date']}, {setting['processor']} ({setting['cores']} cores), Linux {setting['kernel']}; {setting['pinning']}; "
        f"{setting['rounds']} rounds of about {setting['seconds']:g} s each, peers in turn within a round"
        f"{_further(setting)}. "
        f"Load average before: {setting['load_before']:.2f}.",
        "",
        f"Reproduce with `{setting['command']}`.",
        "",
        "Medians of the rounds. Ratios are computed within each round, against the best limit (*raw C*, or zlib alone) and the "
        "best other peer of that round, and are medians too; more than 1 is better, for times as well. Half of the rounds are "
        "within what is given as the middle half. Counts, bytes and "
        "checksums were right in every run that is counted.",
        "",
    ]
    if results["goals"]:
        lines += [f"{level} Goals", "", *_goals(results["goals"])]
    for workload in WORKLOADS:
        rows = results["workloads"].get(workload.key)
        if rows and _sorted_titles(workload, rows):
            lines += [
                f"{level} {workload.title}",
                "",
                f"`Benchmarks/run.py --workloads {workload.key}`",
                "",
                f"![{workload.title}](charts/{workload.key}.svg)",
                "",
                *_table(workload, rows),
                "",
            ]
    lines += [f"{level} Versions", "", "| row | version |", "|---|---|"]
    lines += [f"| {title} | {version} |" for title, version in results["versions"].items()]
    lines += ["", f"{level} Absent or failed", ""]
    lines += [f"- {title}: {reason}" for title, reason in results["absent"].items()]
    lines += [
        f"- {failure['row']} in “{find(failure['workload']).title}”: {failure['reason']}"
        for failure in results["failures"]
    ]
    if not results["absent"] and not results["failures"]:
        lines.append("Nothing.")
    return "\n".join(lines) + "\n"
