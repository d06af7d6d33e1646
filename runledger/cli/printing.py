"""Tables for people, JSON and CSV for programs; all on stdout."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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

    On a terminal the table is cut to its width; into a file or a pipe every cell is whole.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    numbers = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        # Text, not str: what an agent wrote is never read as markup.
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(80, console.measure(table).maximum))
    console.print(table)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")
