"""The global options, and the functions by which every command opens the ledger."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import typer

if TYPE_CHECKING:
    from runledger import Actor, Operator, RunLedger
    from runledger.remote.operator import RemoteOperator
    from runledger.store import Store

_LOWEST: Final = 19
"""The scheduling priority (nice value) of the operator's commands: the lowest."""
_PATIENCE_SECONDS: Final = 5.0
"""How long requests to a server that does not answer are retried."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of the global options; `folder` has the default ledger, None if one is named."""

    store: str
    read_models: str
    organization: str | None
    archive: str | None = None
    folder: Path | None = None
    api_key: str | None = None

    @property
    def server(self) -> bool:
        """Whether the ledger is a server's."""
        return self.store.startswith(("http://", "https://"))


def given(ctx: typer.Context) -> Settings:
    """Return the global options of the command line, with all checks that need no file."""
    from runledger.cli.parsers import as_usage_error
    from runledger.store import check_url

    settings: Settings = ctx.obj
    if settings.server:
        from runledger.cli.at_a_server import expect_store

        if settings.archive is not None:
            raise typer.BadParameter(
                "expected none, as the server has its own", param_hint="'--archive'"
            )
        expect_store(ctx, settings.store)
    else:
        with as_usage_error("--store"):
            check_url(settings.store)
    with as_usage_error("--organization"):
        acting(settings)
    return settings


def tell_default(settings: Settings, *, create: bool = False) -> None:
    """Print the default ledger on stderr if none was named; `create` makes its folder."""
    if settings.folder is None:
        return
    if create:
        settings.folder.mkdir(parents=True, exist_ok=True)
    path = settings.store.removeprefix("sqlite:///")
    typer.echo(f"runledger: the ledger {path} (no --store, no RUNLEDGER_STORE)", err=True)


def expect_writable(ctx: typer.Context) -> None:
    """Raise OnlyRead for an archive, before anything is read."""
    from runledger.errors import OnlyRead

    if (store := given(ctx).store).startswith("archive:"):
        raise OnlyRead(store)


def ask(
    ctx: typer.Context,
    question: "Callable[[RunLedger], Awaitable[_T]]",
    *,
    read_models: bool = True,
    create: bool = False,
    as_of: object = None,
) -> _T:
    """Open the ledger, bring the read models up to date, return the answer to the query.

    Without `read_models`, and for a query `as_of` a moment, the file is not opened, so that another
    process may have it open. A missing store is refused unless it is to be created.
    """
    import asyncio

    if given(ctx).server:
        return asyncio.run(_ask_server(given(ctx), question))
    if as_of is not None:
        return ask_operator(ctx, lambda operator: question(operator.ledger))

    tell_default(given(ctx), create=create)

    async def answer() -> _T:
        async with open_ledger(given(ctx), read_models=read_models, create=create) as ledger:
            if read_models:
                await _catch_up(ledger)
            return await question(ledger)

    with _ended_by_interrupt() if read_models else nullcontext():
        return asyncio.run(answer())


async def _ask_server(settings: Settings, question: "Callable[[RunLedger], Awaitable[_T]]") -> _T:
    from runledger import RunLedger

    opened = RunLedger.open(
        settings.store,
        api_key=settings.api_key,
        actor=acting(settings) if settings.organization else None,
        # A person waits: a late answer is reported as a failure.
        retry_for=_PATIENCE_SECONDS,
    )
    async with opened as ledger:
        return await question(ledger)


def at_server(ledger: "RunLedger") -> "RemoteOperator":
    """Return the operator of a ledger that is a server's, with what only that one has."""
    return cast("RemoteOperator", ledger.operator)


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once, with exit code 130.

    Cancelling would wait for DuckDB's thread until its query ends. An interrupted projection is
    rolled back when the file is opened next.
    """

    def end(*_: object) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h\n")  # the cursor, which a progress bar hides
            sys.stderr.flush()
        os._exit(128 + signal.SIGINT)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def ask_operator(ctx: typer.Context, work: "Callable[[Operator], Awaitable[_T]]") -> _T:
    """Open the ledger without its read models, which another process may have open; return the
    answer.

    Work on their file opens it briefly, or is done by that process. The operator's work reads whole
    logs, so it runs with low priority behind appends and queries.
    """
    import asyncio

    from runledger import Operator

    settings = given(ctx)
    if settings.server:
        return asyncio.run(_ask_server(settings, lambda ledger: work(ledger.operator)))
    tell_default(settings)

    async def answer() -> _T:
        async with Operator.open(
            settings.store,
            settings.read_models,
            archive=settings.archive,
            actor=acting(settings),
        ) as operator:
            return await work(operator)

    os.setpriority(os.PRIO_PROCESS, 0, _LOWEST)
    # All of it can be continued or repeated after a kill.
    with _ended_by_interrupt():
        return asyncio.run(answer())


@contextmanager
def opened_store(ctx: typer.Context) -> "Iterator[Store]":
    """Open the store alone for the block, for commands that work on the log; it must be there."""
    from runledger.store import open_store

    settings = given(ctx)
    tell_default(settings)
    with closing(open_store(settings.store, create=False)) as store:
        yield store


def open_ledger(settings: Settings, *, read_models: bool, create: bool) -> "RunLedger":
    """Return the ledger that the global options describe, to be opened by `async with`.

    If another process has the read models open, queries go to that process.
    """
    from runledger import RunLedger
    from runledger.callbacks import CallbackSettings
    from runledger.ledger.opening import Opening

    return RunLedger(
        Opening(
            url=settings.store,
            read_models=settings.read_models if read_models else None,
            actor=acting(settings),
            create=create,
            ask_holder=True,
            callbacks=CallbackSettings.from_environment(dispatch=False),
        )
    )


def acting(settings: Settings) -> "Actor":
    """Return the actor of the commands."""
    from runledger import Actor

    return Actor(settings.organization) if settings.organization else Actor()


async def _catch_up(ledger: "RunLedger") -> None:
    import asyncio

    from runledger.cli.progress import progress

    if not ledger.read_models.follows:
        return
    behind = await asyncio.to_thread(ledger.store.head) - ledger.read_models.position
    with progress("projecting", behind) as advance:
        await ledger.project(lambda count, _position: advance(count))


def fields(**given: Any) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in given.items() if value is not None}
