"""`runledger callbacks`: list delivered and pending callbacks, and send them again."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runledger.cli import parsers, printing
from runledger.cli.formats import Form, output
from runledger.cli.options import AsOf, Json, example, expect_span
from runledger.cli.parsers import before, moment
from runledger.cli.settings import ask, expect_writable
from runledger.quantities import show_count, show_duration, show_moment

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.records import CallbackRow

app = typer.Typer(
    name="callbacks", help="List callbacks, show one, send again.", no_args_is_help=True
)

From = Annotated[
    datetime | None,
    typer.Option("--from", parser=moment, metavar="TIME", help="Runs that ended then or later."),
]
To = Annotated[
    datetime | None,
    typer.Option(
        "--to",
        parser=before,
        metavar="TIME",
        help="Runs that ended before; a day alone is included (UTC).",
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="Callbacks that were given up.")]
_RUN = "run-0f1e2d3c-4b5a-4678-9abc-def012345678"


@app.command("list", epilog=example("runledger callbacks list --failed --from 2025-08-01"))
def list_callbacks(
    ctx: typer.Context,
    status: Annotated[
        list[str] | None,
        typer.Option(
            parser=parsers.callback_status, help="pending, delivered or failed; may be repeated."
        ),
    ] = None,
    failed: Failed = False,
    begin: From = None,
    end: To = None,
    limit: Annotated[int, typer.Option(min=1, help="Callbacks on the page.")] = 50,
    as_of: AsOf = None,
    as_json: Json = False,
    form: Form = None,
) -> None:
    """List callbacks of runs that ended, the last requested first."""
    asked = _range(begin, end, [*(status or ()), *(["failed"] if failed else ())])
    from runledger.records import CallbackRow

    shown = output(ctx, form, as_json, CallbackRow, _print_callbacks, times_of_sql=True)
    rows = ask(
        ctx, lambda ledger: ledger.list_callbacks(limit=limit, as_of=as_of, **asked), as_of=as_of
    )
    shown.add(rows)
    shown.end()


def _print_callbacks(rows: "Iterable[CallbackRow]") -> None:
    columns = ("run_id", "status", "ended_at", "attempts", "last", "said", "next_attempt_at", "url")
    printing.print_table(columns, map(_row, rows), right=("attempts",))


@app.command(epilog=example(f"runledger callbacks show {_RUN}"))
def show(
    ctx: typer.Context,
    run_id: Annotated[
        str, typer.Argument(parser=parsers.run_id, metavar="RUN_ID", help="run-<uuid4>")
    ],
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Show a run's callback with every attempt, from its own stream; needs no read models."""
    found = ask(ctx, lambda ledger: ledger.get_callback(run_id, as_of=as_of), read_models=False)
    if as_json:
        whole = {**found._asdict(), "owed": asdict(found.owed) if found.owed else None}
        printing.print_json(whole)
        return
    owed = found.owed
    facts = {"run_id": run_id, "url": found.url or "-", "webhook_id": "-", "status": "open"}
    if owed is not None:
        facts.update(
            webhook_id=owed.webhook_id,
            status=owed.status,
            next_attempt_at=show_moment(owed.next_attempt_at),
        )
    printing.print_facts(facts)
    if found.attempts:
        typer.echo("")
        numbers = ("attempt", "took")
        printing.print_table(
            [*numbers, "at", "status", "error"], map(_attempt, found.attempts), right=numbers
        )


@app.command(
    epilog=example(
        f"runledger callbacks redeliver --run {_RUN}",
        "runledger callbacks redeliver --failed --from 2025-08-01 --to 2025-08-03",
    )
)
def redeliver(
    ctx: typer.Context,
    run: Annotated[
        list[str] | None,
        typer.Option(
            parser=parsers.run_id,
            metavar="RUN_ID",
            help="The callback of this run; repeatable.",
        ),
    ] = None,
    begin: From = None,
    end: To = None,
    failed: Failed = False,
    as_json: Json = False,
) -> None:
    """Request that callbacks are sent again, with the same webhook-id; a dispatcher sends them."""
    ranged = failed or begin is not None or end is not None
    if bool(run) == ranged:
        raise typer.BadParameter("expected --run RUN_ID, or any of --from, --to and --failed")
    asked = _range(begin, end, ["failed"] if failed else [])

    async def again(ledger: "RunLedger") -> list[str]:
        if not run:
            return await ledger.redeliver_callbacks(**asked)
        for run_id in run:
            await ledger.redeliver_callback(run_id)
        return run

    expect_writable(ctx)
    run_ids = ask(ctx, again, read_models=ranged)
    if as_json:
        printing.print_json(run_ids)
        return
    for run_id in run_ids:
        typer.echo(f"{run_id}  callback requested")


def _range(begin: datetime | None, end: datetime | None, statuses: list[str]) -> dict[str, Any]:
    from runledger.run.envelope import optional_in_utc

    with parsers.as_usage_error():
        optional_in_utc("--from", begin)
        optional_in_utc("--to", end)
    expect_span(exclusive=True, **{"from": begin, "to": end})
    return {"since": begin, "until": end, "statuses": statuses}


def _row(row: "CallbackRow") -> list[str]:
    return [
        row.run_id,
        row.status,
        show_moment(row.ended_at),
        show_count(row.attempts),
        show_moment(row.attempted_at),
        row.error or str(row.status_code or "-"),
        show_moment(row.next_attempt_at),
        row.callback_url,
    ]


def _attempt(event: Any) -> list[str]:
    return [
        show_count(event.attempt),
        show_duration(event.attempt_ns),
        show_moment(event.occurred_at),
        "delivered" if event.delivered else "given up" if event.final else "failed",
        event.error or str(event.status_code or "-"),
    ]
