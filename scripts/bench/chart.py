"""Line charts as SVG, one beside another; the x axis is logarithmic."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Final

WIDTH: Final = 320
HEIGHT: Final = 200
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 30, 14, 34
_COLOURS: Final = ("#2458a8", "#c2571a", "#3a7d44", "#7a3f9d")


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def panel(title: str, x: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    """Return one chart; y begins at 0."""
    top = max(max(line) for line in lines.values()) * 1.1 or 1.0
    first, last = log10(x[0]), log10(x[-1])
    span = (last - first) or 1.0

    def at(value: float, y: float) -> str:
        across = _LEFT + (log10(value) - first) / span * (WIDTH - _LEFT - _RIGHT)
        down = HEIGHT - _BOTTOM - y / top * (HEIGHT - _TOP - _BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = [f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(title)}</text>']
    for share in (0.0, 0.5, 1.0):
        y = HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_short(share * top)}</text>'
        )
    for value in x:
        across, _, _ = at(value, 0).partition(",")
        parts.append(
            f'<text x="{across}" y="{HEIGHT - 16}" text-anchor="middle">{_short(value)}</text>'
        )
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(at(value, y) for value, y in zip(x, line, strict=True))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{_LEFT + 4}" y="{_TOP + 10 + 13 * number}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    return "".join(parts)


def svg(panels: Sequence[str], across: int = 3) -> str:
    """Return the charts as one picture, `across` in a row."""
    down = -(-len(panels) // across)
    placed = "".join(
        f'<g transform="translate({WIDTH * (n % across)},{HEIGHT * (n // across)})">{chart}</g>'
        for n, chart in enumerate(panels)
    )
    width, height = WIDTH * min(across, len(panels)), HEIGHT * down
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>{placed}</svg>\n'
    )
