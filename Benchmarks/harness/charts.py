"""Bar charts as SVG, written by hand: one a workload, readable on a light and on a dark page."""

from html import escape

from .peers import LIMIT, PRODUCT
from .report import figure
from .workloads import Workload

WIDTH = 860
LABEL_WIDTH = 285
VALUE_WIDTH = 150
BAR_HEIGHT = 18
BAR_STEP = 26
TOP = 62
BOTTOM = 30

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .note { font-size: 12px; fill: #59636e; }
  .label { text-anchor: end; }
  .product-label { font-weight: 600; }
  .page { fill: #ffffff; }
  .limit { fill: #b1bac4; }
  .peer { fill: #5b8fd1; }
  .product { fill: #e8590c; }
  .spread { stroke: #1f2328; stroke-width: 1.5; opacity: 0.65; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .page { fill: #0d1117; }
    .limit { fill: #59636e; }
    .spread { stroke: #e6edf3; }
  }
"""


def bar_chart(workload: Workload, rows: dict[str, dict], setting: dict) -> str | None:
    """Draw a workload's medians as bars, the best one first, with their spread as a line."""
    measured = [(title, row) for title, row in rows.items() if "median" in row]
    if not measured:
        return None
    measured.sort(key=lambda item: item[1]["median"], reverse=workload.measure.higher_is_better)
    longest = max(row["highest"] for _, row in measured)
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    height = TOP + BAR_STEP * len(measured) + BOTTOM

    def across(value: float) -> float:
        return LABEL_WIDTH + room * value / longest

    better = "more is better" if workload.measure.higher_is_better else "less is better"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(workload.title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>',
        f'<text class="title" x="16" y="26">{escape(workload.title)}</text>',
        f'<text class="note" x="16" y="46">{workload.measure.unit}, {better}</text>',
    ]
    for index, (title, row) in enumerate(measured):
        top = TOP + BAR_STEP * index
        middle = top + BAR_HEIGHT / 2
        kind = {LIMIT: "limit", PRODUCT: "product"}.get(row["role"], "peer")
        label = "label product-label" if kind == "product" else "label"
        end = max(across(row["median"]), LABEL_WIDTH + 1.5)
        parts += [
            f'<text class="{label}" x="{LABEL_WIDTH - 10}" y="{middle + 4.5:.1f}">{escape(title)}</text>',
            f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{top}" width="{end - LABEL_WIDTH:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
            f'<line class="spread" x1="{across(row["lowest"]):.1f}" x2="{across(row["highest"]):.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>',
            f'<text x="{max(end, across(row["highest"])) + 8:.1f}" y="{middle + 4.5:.1f}">{figure(row["median"])}</text>',
        ]
    rounds = setting["rounds"] + setting.get("further", 0)
    note = f"Medians of up to {rounds} rounds, line: lowest to highest. {setting['pinning']}. {setting['date']}"
    parts += [f'<text class="note" x="16" y="{height - 12}">{escape(note)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"
