"""Tables for people, JSON and CSV for programs; all on stdout."""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import typer

_ROWS_MAX: Final = 1_000


def print_json(value: Any) -> None:
    """Print a value as JSON; times in ISO 8601, models as their fields, NaN and infinities null."""
    typer.echo(_json(value, ensure_ascii=False, indent=2))


def columns_of(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return records as dictionaries that keep their times, so that these print as in SQL."""
    return [row.model_dump() for row in rows]


def print_json_list(values: Iterable[Any]) -> None:
    """Print a list as JSON, with a thousand items in memory at a time."""
    rest, whole = iter(values), JsonList()
    # Encoded in groups: one at a time, creating encoders would take most of the time.
    while some := list(islice(rest, _ROWS_MAX)):
        whole.add(some)
    whole.end()


class JsonList:
    """A list that is printed as JSON while its items come."""

    def __init__(self) -> None:
        self._before = "["

    def add(self, values: Sequence[Any]) -> None:
        """Print some items, of which there is at least one."""
        sys.stdout.write(self._before + _json(values, ensure_ascii=False, indent=2)[1:-2])
        self._before = ","

    def end(self) -> None:
        """Print the end of the list."""
        sys.stdout.write("[]\n" if self._before == "[" else "\n]\n")


def print_json_line(value: Any) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(_json(value, ensure_ascii=False) + "\n")


def _json(value: Any, **how: Any) -> str:
    import json

    try:
        return json.dumps(value, default=_plain, allow_nan=False, **how)
    except ValueError:
        # JSON cannot express them. They are rare: only then is the value encoded again.
        words = json.dumps(value, default=_plain)
        return json.dumps(json.loads(words, parse_constant=lambda _: None), **how)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)


def print_csv(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, header: bool = True
) -> None:
    """Print a header and rows as CSV; NULL is empty, lists and structs are JSON."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for row in rows:
        writer.writerow(_json(value) if isinstance(value, list | dict) else value for value in row)


def print_markdown(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, header: bool = True
) -> None:
    """Print a header and rows as a table in Markdown; lists and structs are JSON."""
    if header:
        print_markdown(columns, (columns, ["---"] * len(columns)), header=False)
    for row in rows:
        cells = ("" if value is None else _markdown(value) for value in row)
        sys.stdout.write(f"| {' | '.join(cells)} |\n")


def _markdown(value: Any) -> str:
    text = _json(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return visible(text).replace("\\", "\\\\").replace("|", "\\|")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()
) -> None:
    """Print rows of text under their columns, those named in `right` aligned to the right.

    Every cell is whole. On a terminal that is too narrow, the last columns are left out, and it
    says so: give the most important columns first.
    """
    # Only rich's character widths are used: its tables would double the time of a small query.
    from rich.cells import cell_len

    lines = [list(columns), *([visible(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(line[place]) for line in lines) for place in range(len(columns))]
    shown = len(columns)
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        while shown > 1 and sum(widths[:shown]) + len(_GAP) * (shown - 1) > room:
            shown -= 1
    numbers = set(right)
    for number, line in enumerate(lines):
        cells = [
            " " * (width - cell_len(cell)) + cell
            if name in numbers
            else cell + " " * (width - cell_len(cell))
            for name, cell, width in zip(columns[:shown], line, widths, strict=False)
        ]
        text = _GAP.join(cells).rstrip()
        typer.echo(typer.style(text, bold=True) if number == 0 else text)
        if number == 0:
            typer.echo(_GAP.join("─" * width for width in widths[:shown]))
    if shown < len(columns):
        left_out = ", ".join(columns[shown:])
        typer.echo(f"(too narrow for: {left_out}; --json shows them)", err=True)


_GAP: Final = "  "


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one per line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {visible(value)}")


def visible(text: str) -> str:
    """Return text for a terminal: an agent's text must not contain control characters."""
    return text.translate(_CONTROLS)


_CONTROLS: Final = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code != 9
}
