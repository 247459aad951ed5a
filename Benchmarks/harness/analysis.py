"""From runs to figures: medians, spreads, and ratios that are computed round by round."""

from statistics import median, quantiles

from .peers import LIMIT, PEER
from .workloads import Workload, find


def _rounds(rows: dict[str, dict]) -> int:
    return max((len(row["samples"]) for row in rows.values()), default=0)


def _best(workload: Workload, values: list[float]) -> float:
    return max(values) if workload.measure.higher_is_better else min(values)


def ratio(workload: Workload, value: float, reference: float) -> float:
    """Compare two figures so that more is better: 1.2 is a fifth faster, or a sixth less time."""
    return value / reference if workload.measure.higher_is_better else reference / value


def _reference_rounds(workload: Workload, rows: dict[str, dict], role: str, but: str) -> list[float | None]:
    """Find the best figure among a role's rows in each round, without the row that it is compared with."""
    found = []
    for turn in range(_rounds(rows)):
        values = [
            row["samples"][turn]
            for title, row in rows.items()
            if row["role"] == role and title != but and row["samples"][turn] is not None
        ]
        found.append(_best(workload, values) if values else None)
    return found


def ratios(workload: Workload, samples: list[float | None], references: list[float | None]) -> list[float]:
    """Compute each round's ratio; rounds that lack one of the two do not count."""
    pairs = [(value, other) for value, other in zip(samples, references, strict=False) if value is not None and other]
    return [ratio(workload, value, other) for value, other in pairs]


def median_ratio(workload: Workload, samples: list[float | None], references: list[float | None]) -> float | None:
    """Take the median of the rounds' ratios."""
    found = ratios(workload, samples, references)
    return median(found) if found else None


def middle_half(values: list[float]) -> tuple[float, float]:
    """Find the bounds between which the middle half of some values lies."""
    if len(values) < 2:
        return (values[0], values[0])
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return (lower, upper)


def analyse(key: str, rows: dict[str, dict]) -> None:
    """Add to each row of a workload its median, spread and ratios."""
    workload = find(key)
    limits = [title for title, row in rows.items() if row["role"] == LIMIT]
    for title, row in rows.items():
        values = [value for value in row["samples"] if value is not None]
        if not values:
            continue
        row["median"] = median(values)
        row["lowest"], row["highest"] = min(values), max(values)
        best_limit = _reference_rounds(workload, rows, LIMIT, but="")
        best_peer = _reference_rounds(workload, rows, PEER, but=title)
        row["to_best_limit"] = median_ratio(workload, row["samples"], best_limit)
        row["to_best_peer"] = median_ratio(workload, row["samples"], best_peer)
        row["to_limit"] = {
            limit: median_ratio(workload, row["samples"], rows[limit]["samples"]) for limit in limits if limit != title
        }
        for figure in workload.extra:
            if figures := [result[figure] for result in row["results"] if figure in result]:
                row[figure] = median(figures)
