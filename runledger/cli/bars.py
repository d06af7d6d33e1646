"""Bars on a terminal, in the width that it has: amounts beside each other, spans of time."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from runledger.cli import printing
from runledger.cli.options import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

Plot = Annotated[bool, typer.Option("--plot", help="Draw bars instead of a table.")]
_NARROWEST: Final = 10


class Bar(NamedTuple):
    """A bar from `begin` to `end`, between what it is about and what it says."""

    about: str
    begin: float
    end: float
    says: str


def about(row: object, keys: "Sequence[str]", everything: str) -> str:
    """Return what a bar of a group is about: its columns, or `everything` without any."""
    return "  ".join(str(getattr(row, key) or "-") for key in keys) or everything


def expect_no_format(ctx: typer.Context, plot: bool, form: str | None, as_json: bool) -> None:
    """Refuse --plot beside an option that asks for another form."""
    if plot and (form not in (None, "table") or (as_json and typed(ctx, "as_json"))):
        raise typer.BadParameter("expected --plot, --json or --format alone, found several")


def print_bars(bars: "Iterable[Bar]") -> None:
    """Print bars below each other, on one scale that begins at 0 and ends with the longest.

    Without a terminal, as in a pipe, they are 80 columns wide, or as wide as COLUMNS says.
    """
    from rich.bar import Bar as Drawn
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown: Sequence[Bar] = list(bars)
    whole = max((bar.end for bar in shown), default=0) or 1
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    grid.add_column(ratio=1, min_width=_NARROWEST)
    grid.add_column(no_wrap=True, justify="right")
    for bar in shown:
        # What is there is seen, however short it is.
        end = max(bar.end, bar.begin + whole / 100) if bar.end > 0 else bar.end
        drawn = Drawn(size=whole, begin=min(bar.begin, whole - whole / 100), end=end)
        grid.add_row(Text(printing.visible(bar.about)), drawn, Text(printing.visible(bar.says)))
    Console(markup=False, highlight=False, color_system=None).print(grid)
