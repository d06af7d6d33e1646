"""The table for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from scripts.bench.row import Figure, Row


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _other(figure: Figure | None, unit: str) -> str:
    return "" if figure is None else f"{number(figure.value)} {unit}\n[dim]{figure.name}[/dim]"


def show(console: Console, machine: Mapping[str, Any], found: Mapping[str, Sequence[Row]]) -> None:
    """Print the machine and every row, a section per question."""
    console.print("  ".join(f"{name} [bold]{value}[/bold]" for name, value in machine.items()))
    table = Table(box=box.SIMPLE, show_edge=False)
    for name in ("figure", "ours", "peer", "limit", "ratio", "mark", ""):
        table.add_column(name, justify="right" if name in ("ours", "ratio") else "left")
    for rows in found.values():
        for row in rows:
            table.add_row(
                row.figure + (f"\n[dim]{row.note}[/dim]" if row.note else ""),
                f"{number(row.ours)} {row.unit}",
                _other(row.peer, row.unit),
                _other(row.limit, row.unit),
                "" if row.compared is None else f"{number(row.compared)} x",
                row.mark.text(row.unit) if row.mark else "",
                {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}[row.met],
            )
        table.add_section()
    console.print(table)
