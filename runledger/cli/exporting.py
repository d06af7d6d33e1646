"""`runledger export …`: export the log or the read models."""

from collections.abc import Container, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from runledger.cli import printing
from runledger.cli.at_a_server import expect_store
from runledger.cli.options import AsOf, Json, Overwrite, View, Where, example
from runledger.cli.settings import ask, ask_operator, at_server, given

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.importers.event_lines.exporter import Damage
    from runledger.remote.operator import RemoteOperator

app = typer.Typer(name="export", help="Export events and read models.", no_args_is_help=True)


@app.command(
    epilog=example(
        "runledger export jsonl --output events.jsonl.gz",
        "runledger export jsonl | head -n 1",
        "runledger export jsonl --where \"status = 'failed'\" --output failed.jsonl",
    )
)
def jsonl(
    ctx: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A file; gzip if it ends in .gz."),
    ] = None,
    overwrite: Overwrite = False,
    after: Annotated[
        int, typer.Option(min=0, metavar="POSITION", help="Only events after it.")
    ] = 0,
    where: Where = None,
    view: View = None,
    as_json: Json = False,
) -> None:
    """Write every event of the log as a line of JSON, in order; see `import jsonl`.

    A file appears when it is complete; --json then prints how many lines it has. An event that
    cannot be read is written as it is stored, and reported on stderr. The events of all
    organizations are exported; with a condition, those of the organization's runs that meet it when
    the export begins, and of their agents.
    """
    import sys

    narrowed = where is not None or view is not None
    if narrowed and given(ctx).server:
        expect_store(ctx, given(ctx).store, "--where")
    from runledger.importers.event_lines.exporter import Damage

    damage = Damage()

    async def write(ledger: "RunLedger") -> int:
        import asyncio

        if given(ctx).server:
            return await _from_server(at_server(ledger), output, overwrite, after, damage)
        streams = await _streams(ledger, view, where) if narrowed else None
        if output is None:
            return await asyncio.to_thread(
                _write, ledger, sys.stdout.buffer, after, streams, damage
            )
        read_models = Path(given(ctx).read_models)
        return await asyncio.to_thread(
            _write_file, ledger, output, overwrite, after, streams, read_models, damage
        )

    lines = ask(ctx, write, read_models=narrowed)
    if damage.events:
        reason = printing.visible(damage.reason)
        typer.echo(
            f"warning: {damage.events:,} events are written as they are stored, and an import will "
            f"refuse them; the first at position {damage.position}: {reason}",
            err=True,
        )
    if output is None:
        return
    if as_json:
        about = {"lines": lines, "damaged": damage.events, "file": str(output)}
        printing.print_json(about)
    else:
        typer.echo(f"{lines:,} lines in {output}")


@app.command(epilog=example("runledger export parquet exported/"))
def parquet(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty.")],
    overwrite: Overwrite = False,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Write every table of the read models as Parquet, a folder per table, in it one per day (UTC).

    All tables are as of one position, which is in DIR/export.json. An earlier export is replaced
    only with --overwrite.
    """
    done = ask_operator(
        ctx, lambda operator: operator.export_parquet(folder, as_of=as_of, overwrite=overwrite)
    )
    if as_json:
        printing.print_json(done._asdict())
        return
    for table, rows in done.rows.items():
        typer.echo(f"{rows:>12,}  {table}")
    typer.echo(f"{done.path}: read models at position {done.position:,}")


def _write_file(
    ledger: "RunLedger",
    output: Path,
    overwrite: bool,
    after: int,
    streams: "Container[str] | None",
    read_models: Path,
    damage: "Damage",
) -> int:
    from projections.publishing.target_file import expect_target
    from runledger.importers.event_lines.exporter import EXPORT

    expect_target(output, EXPORT, ledger.store.url, read_models, overwrite=overwrite)
    with _file(output) as file:
        return _write(ledger, file, after, streams, damage)


async def _from_server(
    operator: "RemoteOperator",
    output: Path | None,
    overwrite: bool,
    after: int,
    damage: "Damage",
) -> int:
    import sys

    from projections.publishing.target_file import expect_replaceable
    from runledger.importers.event_lines.exporter import EXPORT
    from runledger.importers.event_lines.format import position_of

    if output is not None:
        expect_replaceable(output, EXPORT, overwrite=overwrite)
    lines = 0
    with nullcontext(sys.stdout.buffer) if output is None else _file(output) as out:
        async for line in operator.export_lines(after=after):
            damage.look_at(position_of(line), line)
            out.write(line)
            lines += 1
        out.flush()
    return lines


@contextmanager
def _file(output: Path) -> "Iterator[_Output]":
    """Open a file to export to, packed if its name says so; it appears when it is complete."""
    import gzip

    from runledger.durable_file import unfinished
    from runledger.errors import InvalidArgument

    try:
        with unfinished(output) as part, part.open("wb") as file:
            if output.suffix == ".gz":
                # The header has no time, so that the same events result in the same bytes.
                with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                    yield packed
            else:
                yield file
    except OSError as e:
        raise InvalidArgument(f"{output}: {e.strerror or e}") from e


class _Output(Protocol):
    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


async def _streams(ledger: "RunLedger", view: str | None, where: str | None) -> set[str]:
    """Return the streams of the runs that meet a condition, and of their agents.

    They are known before the first event is written: of a run that changes meanwhile, all events
    are written or none.
    """
    from runledger.ledger.named_view import condition
    from runledger.run.parties import agent_stream

    streams = set()
    async for run in ledger.runs(where=await condition(ledger, view, where)):
        streams |= {run.run_id, agent_stream(run.organization, run.agent_id)}
    return streams


def _write(
    ledger: "RunLedger",
    out: _Output,
    after: int,
    streams: "Container[str] | None",
    damage: "Damage",
) -> int:
    from runledger.cli.progress import progress
    from runledger.importers.event_lines.exporter import export_lines

    lines = 0
    with progress("exporting", ledger.store.head() - after) as advance:
        lines_of = export_lines(
            ledger.store, after=after, streams=streams, progress=advance, damage=damage
        )
        for line in lines_of:
            out.write(line)
            lines += 1
    out.flush()
    return lines
