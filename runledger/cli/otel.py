"""`runledger otel`: what became of the spans that a server received."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from runledger.cli import printing
from runledger.cli.options import Json, example
from runledger.cli.settings import acting, ask, expect_writable, given

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.store.spans import TraceRow

app = typer.Typer(
    name="otel", help="Show how received spans were interpreted.", no_args_is_help=True
)
_LATEST: Final = 10_000

TraceIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="TRACE…", help="Ids of traces; the latest 10,000 if none is named."),
]


@app.command(epilog=example("runledger otel status"))
def status(ctx: typer.Context, as_json: Json = False) -> None:
    """Count what was received, understood, refused, and what waits.

    Spans of traces without a run are counted by the library that they come from. Of the spans that
    are `dropped`, only the ids are still kept.
    """
    import json

    async def read(ledger: "RunLedger") -> dict[str, object]:
        table, organization = ledger.store.spans, acting(given(ctx)).organization
        counts = table.counts(organization)._asdict()
        scopes: Counter[str] = Counter()
        refused: list[dict[str, str]] = []
        elsewhere: Counter[str] = Counter()
        for row in table.latest(organization, _LATEST):
            note = json.loads(row.note)
            scopes.update(note.get("scopes", {}))
            elsewhere.update(note.get("elsewhere", []))
            refused += [
                {"trace_id": row.trace_id, "reason": reason} for reason in note.get("refused", [])
            ]
        return {
            **counts,
            "not_understood": dict(scopes.most_common()),
            "refusals": refused,
            "elsewhere": dict(elsewhere.most_common()),
        }

    told = ask(ctx, read, read_models=False)
    if as_json:
        printing.print_json(told)
        return
    scopes, refusals = told.pop("not_understood"), told.pop("refusals")
    elsewhere = told.pop("elsewhere")
    printing.print_facts({name.replace("_", " "): f"{value:,}" for name, value in told.items()})
    assert isinstance(scopes, dict)
    assert isinstance(refusals, list)
    assert isinstance(elsewhere, dict)
    for scope, count in scopes.items():
        typer.echo(f"not understood: {count:,} spans of {printing.visible(scope)}")
    for reason, count in elsewhere.items():
        typer.echo(f"left out: {count:,} traces: {printing.visible(reason)}")
    for refusal in refusals:
        typer.echo(f"refused: trace {refusal['trace_id']}: {printing.visible(refusal['reason'])}")


@app.command(epilog=example("runledger otel explain 0af7651916cd43dd8448eb211c80319c"))
def explain(
    ctx: typer.Context,
    trace: Annotated[str, typer.Argument(help="The id of the trace, 32 hexadecimal digits.")],
    as_json: Json = False,
) -> None:
    """Tell which span of a trace became what, by which rule, and which numbers were left out."""

    async def read(ledger: "RunLedger") -> list[dict[str, object]]:
        from runledger.importers.otlp.explanation import explained

        (row,) = _rows(ctx, ledger, [trace])
        return [span._asdict() for span in explained(ledger.store, row)]

    spans = ask(ctx, read, read_models=False)
    if as_json:
        printing.print_json(spans)
        return
    columns = ("span_id", "kind", "name", "became", "input", "output", "rule", "left_out")
    rows = [["-" if span[key] is None else str(span[key]) for key in columns] for span in spans]
    printing.print_table(columns, rows, right=("input", "output"))


@app.command(epilog=example("runledger otel reassemble", "runledger otel reassemble --dry-run"))
def reassemble(
    ctx: typer.Context,
    traces: TraceIds = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the differences instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make runs of refused traces, if the reason is gone; exit code 1 if any is still refused.

    With --dry-run, show what would be different if all stored spans came today; exit code 1 if
    anything is. What is recorded is never changed.
    """
    if not dry_run:
        _retry(ctx, traces, as_json)
        return

    async def read(ledger: "RunLedger") -> list[dict[str, object]]:
        from runledger.importers.otlp.explanation import differences

        rows = _rows(ctx, ledger, traces)
        if dropped := sum(row.dropped > 0 for row in rows):
            typer.echo(f"left out: {dropped:,} traces whose spans are no longer kept", err=True)
        return [one._asdict() for row in rows for one in differences(ledger.store, row)]

    found = ask(ctx, read, read_models=False)
    if as_json:
        printing.print_json(found)
    else:
        columns = ("trace_id", "run_id", "what", "recorded", "now")
        printing.print_table(columns, [[str(one[key]) for key in columns] for one in found])
    if found:
        raise typer.Exit(1)


def _retry(ctx: typer.Context, traces: list[str] | None, as_json: bool) -> None:
    import json

    expect_writable(ctx)

    async def retried(ledger: "RunLedger") -> tuple[int, list[dict[str, str]]]:
        from runledger.importers.otlp.assembly import Assembler

        organization = acting(given(ctx)).organization
        chosen = None if traces is None else [row.trace_id for row in _rows(ctx, ledger, traces)]
        made = Assembler(ledger.store, ledger.handler)
        count = await made.retry(organization, chosen)
        rows = [row for row in _rows(ctx, ledger, traces) if '"refused"' in row.note]
        still = [
            {"trace_id": row.trace_id, "reason": reason}
            for row in rows
            for reason in json.loads(row.note)["refused"]
        ]
        return count, still

    count, still = ask(ctx, retried, read_models=False)
    if as_json:
        printing.print_json({"tried": count, "refusals": still})
    else:
        typer.echo(f"{count:,} traces were tried again")
        for refusal in still:
            told = printing.visible(refusal["reason"])
            typer.echo(f"refused: trace {refusal['trace_id']}: {told}")
    if still:
        raise typer.Exit(1)


def _rows(ctx: typer.Context, ledger: "RunLedger", traces: list[str] | None) -> "list[TraceRow]":
    from runledger.errors import NotFound

    table, organization = ledger.store.spans, acting(given(ctx)).organization
    if not traces:
        return table.latest(organization, _LATEST)
    found = []
    for trace_id in traces:
        rows = table.traces(organization, trace_id.lower())
        if not rows:
            raise NotFound("trace", trace_id)
        found += rows
    return found
