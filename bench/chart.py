"""The picture of latency against load, an SVG that is legible on light and dark pages."""

from math import ceil, floor, log10
from statistics import median

WIDTH, HEIGHT = 880, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 700, 40, 380  # the edges of the plot
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f } .page { fill: #ffffff }
  .small { font-size: 11px } .grid { stroke: #d0d7de }
  .line { fill: none; stroke-width: 2 } .p99 { stroke-dasharray: 6 4 }
  .c0 { stroke: #0a63c9 } .c1 { stroke: #b3430b } circle.c0 { fill: #0a63c9 } circle.c1 { fill: #b3430b }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .page { fill: #0d1117 } .grid { stroke: #3d444d }
    .c0 { stroke: #6cb6ff } .c1 { stroke: #f0883e } circle.c0 { fill: #6cb6ff } circle.c1 { fill: #f0883e }
  }"""


def svg(curves):
    """Draws p50 and p99 of each curve: a dict of samples by the number of connections."""
    lines = [
        (number, name, percentile, [
            (connections, *(median(getattr(sample, part) for sample in samples) for part in ("value", percentile)))
            for connections, samples in curve.items()
        ])
        for number, (name, curve) in enumerate(curves.items()) for percentile in ("p50", "p99")
    ]  # fmt: skip
    rates = [rate for *_, points in lines for _, rate, _ in points]
    latencies = [latency for *_, points in lines for *_, latency in points]
    low, high = floor(log10(min(latencies))), ceil(log10(max(latencies)))
    step = _round_step(max(rates) / 6)
    limit = step * ceil(max(rates) / step)

    def x(rate):
        return LEFT + (RIGHT - LEFT) * rate / limit

    def y(latency):
        return BOTTOM - (BOTTOM - TOP) * (log10(latency) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Latency against requests a second">',
        f"<style>{STYLE}\n</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text x="{LEFT}" y="22">milliseconds</text>',
        f'<text x="{RIGHT}" y="{BOTTOM + 45}" text-anchor="end">requests a second; the numbers are connections</text>',
    ]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for rate in range(0, limit + 1, step):
        parts.append(f'<line class="grid" x1="{x(rate):.1f}" x2="{x(rate):.1f}" y1="{TOP}" y2="{BOTTOM}"/>')
        parts.append(f'<text x="{x(rate):.1f}" y="{BOTTOM + 20}" text-anchor="middle">{rate:,}</text>')
    for row, (number, name, percentile, points) in enumerate(lines):
        path = " ".join(f"{x(rate):.1f},{y(latency):.1f}" for _, rate, latency in points)
        parts.append(f'<polyline class="line c{number} {percentile}" points="{path}"/>')
        for connections, rate, latency in points:
            parts.append(f'<circle class="c{number}" cx="{x(rate):.1f}" cy="{y(latency):.1f}" r="3"/>')
            if percentile == "p99":
                at = f'x="{x(rate):.1f}" y="{y(latency) - 8:.1f}"'
                parts.append(f'<text class="small" {at} text-anchor="middle">{connections}</text>')
        at = TOP + 20 + 24 * row
        ends = f'x1="{RIGHT + 15}" x2="{RIGHT + 45}" y1="{at}" y2="{at}"'
        parts.append(f'<line class="line c{number} {percentile}" {ends}/>')
        parts.append(f'<text x="{RIGHT + 52}" y="{at + 4}">{name} {percentile}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _round_step(about):
    """Returns a step of 1, 2 or 5 times a power of ten that is at least as large."""
    power = 10 ** floor(log10(about))
    return max(1, int(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= about)))
