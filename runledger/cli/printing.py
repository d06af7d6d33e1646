"""Tables for people, JSON and CSV for programs; all on stdout."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import typer


def print_json(value: Any) -> None:
    """Print a value as JSON; times in ISO 8601, models as their fields."""
    import json

    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a header and rows as CSV; NULL is empty, lists and structs are JSON."""
    import csv
    import json

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(
            json.dumps(value, default=_plain) if isinstance(value, list | dict) else value
            for value in row
        )


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()
) -> None:
    """Print rows of text under their columns, those named in `right` aligned to the right.

    Every cell is whole. On a terminal that is too narrow, the last columns are left out, and it
    says so: give them in the order of what matters most.
    """
    from rich.console import Console

    cells = [[visible(cell) for cell in row] for row in rows]
    console = Console()
    width = console.width if console.is_terminal else _ANY_WIDTH
    shown = len(columns)
    while shown > 1 and _width(columns[:shown], cells) > width:
        shown -= 1
    wide = Console(width=max(width, _ANY_WIDTH), highlight=False, soft_wrap=True)
    wide.print(_table(columns[:shown], cells, set(right)), end="")
    if shown < len(columns):
        left_out = ", ".join(columns[shown:])
        typer.echo(f"(too narrow for: {left_out}; --json shows them)", err=True)


_ANY_WIDTH: Final = 100_000
_GAP: Final = 3


def _width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    from rich.cells import cell_len

    widths = [
        max(cell_len(name), *(cell_len(row[place]) for row in rows), 0)
        for place, name in enumerate(columns)
    ]
    return sum(widths) + _GAP * (len(widths) - 1)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: set[str]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        # Text, not str: what an agent wrote is never read as markup.
        table.add_row(*(Text(cell) for cell in row[: len(columns)]))
    return table


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {visible(value)}")


def visible(text: str) -> str:
    """Return text for a terminal: what an agent wrote must not move the cursor or ring the bell."""
    return text.translate(_CONTROLS)


_CONTROLS: Final = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code != 9
}
