"""The differences of two generations as text."""

from typing import TYPE_CHECKING

import typer

from runledger.cli import printing

if TYPE_CHECKING:
    from projections.compare.comparison import Comparison
    from projections.compare.diff import Cell, TableDiff
    from projections.compare.explain import Explanation


def print_comparison(found: "Comparison") -> None:
    """Print counts per table, some rows, and why they differ."""
    typer.echo(f"compared with generation {found.old}, both at position {found.position:,}")
    said = {
        "made by other SQL": found.models_changed,
        "new": found.models_added,
        "gone": found.models_removed,
    }
    for what, names in said.items():
        if names:
            typer.echo(f"read models {what}: {', '.join(names)}")
    if found.parked_old or found.parked_new:
        typer.echo(f"parked streams: {found.parked_old:,} before, {found.parked_new:,} after")
    tables = [table for table in found.tables if _worth_telling(table)]
    if not tables:
        typer.echo(f"no row differs in {len(found.tables)} tables")
        return
    numbers = ("rows", "added", "removed", "changed", "share")
    printing.print_table(
        ["table", *numbers, "columns"], (_counts(table) for table in tables), right=numbers
    )
    for table in tables:
        for row in table.sample:
            key = ", ".join(f"{name}={value}" for name, value in row.key.items())
            typer.echo(f"\n{table.table} {row.change}: {printing.visible(key)}")
            _print_cells(row.cells)
            shown = {name: row.row[name] for name in table.display} if row.row else {}
            for name, value in shown.items():
                typer.echo(f"  {name}: {_shown(None if value is None else str(value))}")
    for explanation in found.explanations:
        _print_explanation(explanation)
    for run in found.runs_unchanged:
        typer.echo(f"\nnothing that is said of {printing.visible(run)} differs")


def _worth_telling(table: "TableDiff") -> bool:
    columns = (*table.columns_added, *table.columns_removed, *table.columns_retyped)
    return bool(table.differing or columns)


def _counts(table: "TableDiff") -> list[str]:
    columns = [f"{name} ({count:,})" for name, count in table.columns.items()]
    columns += [f"+{name}" for name in table.columns_added]
    columns += [f"-{name}" for name in table.columns_removed]
    columns += [f"{name}: other type" for name in table.columns_retyped]
    if table.duplicated:
        columns.append(f"{table.duplicated:,} keys occur more than once")
    return [
        table.table,
        f"{table.rows_old:,}",
        f"{table.added:,}",
        f"{table.removed:,}",
        f"{table.changed:,}",
        f"{table.share:.2%}",
        ", ".join(columns) or "-",
    ]


def _print_cells(cells: "list[Cell]") -> None:
    for cell in cells:
        typer.echo(f"  {cell.column}: {_shown(cell.old)} → {_shown(cell.new)}")


def _shown(value: str | None) -> str:
    return "NULL" if value is None else printing.visible(value)


def _print_explanation(found: "Explanation") -> None:
    key = ", ".join(f"{name}={value}" for name, value in found.key.items())
    typer.echo(f"\nwhy {found.table} differs for {printing.visible(key)}:")
    if found.note is not None:
        typer.echo(f"  {found.note}")
        return
    if found.batch_from is not None:
        typer.echo(
            f"  only if events {found.batch_from} to {found.nth} of its stream are in one batch; "
            f"one by one they give the same row by the old SQL and by the new one"
        )
    typer.echo(
        f"  first at event {found.nth} of {found.events} of {found.stream}: "
        f"{found.topic} at position {found.position:,}"
    )
    for name, value in (found.event or {}).items():
        typer.echo(f"    {name} = {printing.visible(str(value))}")
    typer.echo("  after it, old → new:")
    for cell in found.cells:
        typer.echo(f"    {cell.column}: {_shown(cell.old)} → {_shown(cell.new)}")
