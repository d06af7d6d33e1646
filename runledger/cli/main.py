"""`runledger`: the global options, and the modules of the commands.

To add commands, add them and their module to MODULES. A module has an `app` (a typer.Typer; with a
name it is a group) and imports only typer and runledger.cli at its top: every module is loaded for
`--help`, but only one for a command. A command imports other modules when it runs.
"""

import errno
import gc
import os
import signal
import sys
from collections import UserDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from runledger.cli.default_ledger import chosen
from runledger.cli.settings import Settings
from runledger.cli.storable import expect_storable
from runledger.errors import InvalidExpression, LedgerError

MODULES: Final = {
    "demo": "demo",
    "completion": "completing",
    "serve": "serve",
    "keys": "keys",
    "mcp": "mcp",
    "runs": "runs",
    "usage": "usage",
    "prices": "prices",
    "reprice": "reprice",
    "percentiles": "percentiles",
    "agents": "agents",
    "sql": "sql",
    "views": "views",
    "project": "project",
    "doctor": "doctor",
    "migrate": "migrate",
    "import": "importing",
    "watch": "watching",
    "follow": "following",
    "otel": "otel",
    "export": "exporting",
    "expire": "expire",
    "callbacks": "callbacks",
    "dispatch": "dispatch",
    "replay": "replay",
    "generations": "generations",
    "verify": "verify",
    "parked": "parked",
    "publish": "publish",
    "archive": "archive",
    "backup": "backup",
    "restore": "restore",
    "checkpoint": "checkpoint",
    "prove": "prove",
    "verify-proof": "verify_proof",
}
"""Command → its module in runledger.cli, in the order of `--help`."""

_GLOBAL: Final = ("--store", "--read-models", "--archive", "--organization", "--api-key")
_OUTPUT_LOST: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
COMPLETES: Final = "_RUNLEDGER_COMPLETE"
"""The variable in which the script of a shell asks for the words that complete a line."""
CLOSED_PIPE: Final = 128 + signal.SIGPIPE
"""Exit code if the reader of the output closed the pipe, as shells report it for programs."""


class _Commands(UserDict[str, Any]):
    """The commands by name, each created when it is looked up, because all take long to create."""

    def __getitem__(self, name: str) -> Any:
        if isinstance(self.data[name], str):
            module = import_module(f"runledger.cli.{self.data[name]}")
            # Added to a group, so that an app with one command is that command and not a group.
            whole = typer.Typer(rich_markup_mode=None)
            whole.add_typer(module.app)
            self.data[name] = command = typer.main.get_group(whole).commands[name]
            expect_storable(command)
        return self.data[name]


class LedgerGroup(TyperGroup):
    """Accepts the global options anywhere on the line; prints the ledger's errors as one line."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands(MODULES)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the global options to the front, where click expects them."""
        return super().parse_args(ctx, _hoisted(args))

    def make_context(self, *given: Any, **more: Any) -> Any:
        """Parse the line; writing a help page may also fail because of a closed pipe."""
        with _ended_by_closed_pipe():
            return super().make_context(*given, **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Only the ledger's own errors are caught: a bug shows its traceback."""
        with _ended_by_closed_pipe():
            try:
                return super().invoke(ctx)
            except LedgerError as e:
                # A refused expression points at its fault, in lines of its own.
                said = str(e) if isinstance(e, InvalidExpression) else " ".join(str(e).split())
                typer.echo(f"runledger: {said}", err=True)
                raise typer.Exit(1) from e
            except (MemoryError, RuntimeError) as e:
                if isinstance(e, RuntimeError) and "can't start new thread" not in str(e):
                    raise
                found = str(e) or "no memory left"
                typer.echo(
                    f"runledger: expected memory and threads for the command, found {found}: raise "
                    f"the limits of this process (ulimit -v, ulimit -u) or free memory",
                    err=True,
                )
                raise typer.Exit(1) from e


def _hoisted(args: Sequence[str]) -> list[str]:
    front: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _GLOBAL:
            front += [word, *(value for value in [next(words, None)] if value is not None)]
        elif word.startswith(tuple(f"{name}=" for name in _GLOBAL)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


app = typer.Typer(
    cls=LedgerGroup,
    name="runledger",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich help pages would cost as much start-up time as everything else together.
    rich_markup_mode=None,
    context_settings={
        "auto_envvar_prefix": "RUNLEDGER",
        "help_option_names": ["-h", "--help"],
    },
)


def _tell_version(asked: bool) -> None:
    if asked:
        from runledger.distribution import package_version

        typer.echo(f"runledger {package_version()}")
        raise typer.Exit


@app.callback()
def settings(
    ctx: typer.Context,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The log: sqlite:///FILE, postgresql://…, archive:DIR, or a server's http://…; "
            "without, ./runs.db if it is there, else one in the user's data folder.",
        ),
    ] = None,
    read_models: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The DuckDB file of the read models; default: runs.duckdb."
        ),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="An archive of the log, for answers as of long ago."),
    ] = None,
    organization: Annotated[
        str | None, typer.Option(metavar="ID", help="Act for this organization.")
    ] = None,
    api_key: Annotated[str | None, typer.Option(metavar="KEY", help="A key of the server.")] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_tell_version,
            is_eager=True,
            allow_from_autoenv=False,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """An event-sourced ledger of agent runs.

    The global options may be anywhere on the line. Every option can also be given by the
    environment variable that its help names. Exit codes: 0 done, 1 refused or failed, 2 wrong use,
    3 a threshold of a replay is exceeded.
    """
    found = chosen(store, read_models)
    ctx.obj = Settings(found.store, found.read_models, organization, archive, found.folder, api_key)


def main() -> None:
    """Run the command line; the entry point of the `runledger` script."""
    # Imported objects are never garbage; collecting at the usual rate would take 20 ms.
    gc.set_threshold(50_000)
    if COMPLETES in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        try:
            app()
        finally:
            # Flushed here: an error when the interpreter ends would not be reported.
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        sys.exit(CLOSED_PIPE)
    except OSError as e:
        if e.errno not in _OUTPUT_LOST:
            raise
        _drop_output()
        with suppress(OSError):
            typer.echo(f"runledger: output: {e.strerror}", err=True)
        sys.exit(1)


@contextmanager
def _ended_by_closed_pipe() -> Iterator[None]:
    """Exit silently if the output pipe is closed: click would report a failure with exit code 1."""
    try:
        yield
    except BrokenPipeError as e:
        _drop_output()
        raise typer.Exit(CLOSED_PIPE) from e


def _drop_output() -> None:
    """Redirect buffered output to the null device: the interpreter would write it again at its
    end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
