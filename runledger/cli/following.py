"""`runledger follow`: the events of the log, as they are recorded."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runledger.cli import printing
from runledger.cli.options import Json, View, Where, example
from runledger.cli.settings import ask
from runledger.quantities import show_moment

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.store.protocol import StoredEvent

app = typer.Typer()


@app.command(
    epilog=example(
        "runledger follow --topic run.failed --where \"metadata.team = 'red'\"",
        "runledger follow --after 0 --limit 100 --json",
    )
)
def follow(
    ctx: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="Events of this topic, such as run.failed; may be repeated."),
    ] = None,
    where: Where = None,
    view: View = None,
    after: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="POSITION", help="Begin after it. Default: the end of the log."
        ),
    ] = None,
    contents: Annotated[
        bool, typer.Option("--contents", help="With the bodies of messages, in JSON.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="End after so many events. Default: never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the events of the organization as they are recorded, one a line, until SIGINT.

    With a condition, these are the events of runs that meet it when they are read.
    """

    async def print_events(ledger: "RunLedger") -> None:
        from contextlib import aclosing

        from runledger.ledger.named_view import condition

        followed: Any = ledger.follow_log(
            after=after,
            topics=topic or (),
            where=await condition(ledger, view, where),
            contents=contents,
        )
        left = limit
        async with aclosing(followed) as events:
            async for stored in events:
                if stored is None:
                    continue
                _print(stored, as_json, contents)
                left = None if left is None else left - 1
                if left == 0:
                    return

    ask(ctx, print_events, read_models=where is not None or view is not None)


def _print(stored: "StoredEvent", as_json: bool, contents: bool) -> None:
    event = stored.event
    if as_json:
        left_out = None if contents else set(event.contents)
        printing.print_json_line(
            {
                "position": stored.position,
                "stream": stored.stream,
                "version": stored.version,
                "topic": event.topic,
                "event": event.model_dump(mode="json", exclude=left_out),
            }
        )
    else:
        moment = show_moment(event.occurred_at)
        line = f"{stored.position:>10,}  {moment}  {stored.stream}  {event.topic}"
        typer.echo(printing.visible(line))
    # A reader at the other end of a pipe waits for it.
    sys.stdout.flush()
