"""Ids of the ledger that a shell completes: of runs, of agents, and names of saved views."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import typer

from runledger.cli.default_ledger import chosen
from runledger.cli.settings import Settings, open_ledger

if TYPE_CHECKING:
    from runledger import RunLedger

_MOST: Final = 50
"""Ids that are offered."""


def run_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the newest runs whose id begins so."""
    from runledger.sql_file import literal

    where = f"starts_with(run_id, {literal(incomplete)})"

    async def found(ledger: "RunLedger") -> list[str]:
        return [run.run_id for run in await ledger.list_runs(where=where, limit=_MOST)]

    return _found(ctx, found)


def agent_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the agents whose id begins so."""

    async def found(ledger: "RunLedger") -> list[str]:
        ids = (agent.agent_id for agent in await ledger.list_agents())
        return [agent_id for agent_id in ids if agent_id.startswith(incomplete)][:_MOST]

    return _found(ctx, found)


def views(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the saved views whose name begins so."""

    async def found(ledger: "RunLedger") -> list[str]:
        names = (view.name for view in await ledger.list_views())
        return [name for name in names if name.startswith(incomplete)]

    return _found(ctx, found, read_models=False)


def _found(
    ctx: typer.Context,
    question: "Callable[[RunLedger], Awaitable[list[str]]]",
    *,
    read_models: bool = True,
) -> list[str]:
    """Return the answer of a ledger that is there; nothing if it cannot be asked.

    A line that is being written is no place for a message, and no reason to make a ledger. One at a
    server is not asked: its key may not be in the environment of the shell.
    """
    import asyncio

    given: dict[str, Any] = ctx.find_root().params
    ledger = chosen(given.get("store"), given.get("read_models"))
    settings = Settings(ledger.store, ledger.read_models, given.get("organization"))
    if settings.server:
        return []

    async def answer() -> list[str]:
        async with open_ledger(settings, read_models=read_models, create=False) as opened:
            return await question(opened)

    from runledger.errors import LedgerError

    with suppress(LedgerError, OSError):
        return asyncio.run(answer())
    return []
