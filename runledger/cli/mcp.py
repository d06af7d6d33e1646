"""`runledger mcp`: agents ask the ledger in the Model Context Protocol."""

from typing import TYPE_CHECKING

import typer

from runledger.cli.options import example
from runledger.cli.settings import ask, given

if TYPE_CHECKING:
    from runledger import RunLedger

app = typer.Typer()


@app.command(epilog=example("runledger mcp", "runledger --organization org-1 mcp"))
def mcp(ctx: typer.Context) -> None:
    """Serve read-only tools over standard input and output, for an agent's own questions.

    The tools list, show and explain runs, describe and check conditions, total tokens, and return
    percentiles. SQL is offered without --organization alone, because it sees all organizations,
    and not for a server's ledger. Needs the extra `mcp`.
    """
    try:
        from runledger.mcp.server import serve
    except ModuleNotFoundError as e:
        typer.echo(f"runledger: mcp needs {e.name}: pip install 'run-event-ledger[mcp]'", err=True)
        raise typer.Exit(1) from e
    settings = given(ctx)
    with_sql = settings.organization is None and not settings.server

    async def answer(ledger: "RunLedger") -> None:
        await serve(ledger, with_sql=with_sql)

    ask(ctx, answer)
