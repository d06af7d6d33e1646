"""Line charts as PNG, one beside another; the x axis is logarithmic."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

ACROSS: Final = 3


class Panel(NamedTuple):
    """One chart: a line for each name, as long as the x axis that all charts share."""

    title: str
    lines: Mapping[str, Sequence[float]]


def draw(x: Sequence[float], panels: Sequence[Panel], file: Path) -> None:
    """Write the charts as a PNG; every y axis begins at 0."""
    down = ceil(len(panels) / ACROSS)
    figure = Figure(figsize=(4 * ACROSS, 3 * down), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(down, ACROSS, place)
        for name, line in panel.lines.items():
            axes.plot(x, line, marker="o", label=name)
        axes.set(title=panel.title, xscale="log", xlabel="events")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if axes.get_ylim()[1] >= 1_000:
            axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.savefig(file, dpi=110)
