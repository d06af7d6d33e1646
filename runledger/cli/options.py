"""Options that many commands share, and the examples in help pages."""

from datetime import date
from typing import Annotated, Any

import typer

from runledger.cli.known_ids import views
from runledger.cli.parsers import as_usage_error, position_or_moment, run_id, where

Json = Annotated[
    bool, typer.Option("--json", envvar="RUNLEDGER_JSON", help="Print JSON, for programs.")
]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output of an earlier command.")
]

AsOf = Annotated[
    Any,
    typer.Option(
        parser=position_or_moment,
        metavar="POSITION|TIME",
        help="Answer as of a position of the log, or a time; a day alone means its end (UTC).",
    ),
]

Where = Annotated[
    str | None,
    typer.Option(
        parser=where,
        metavar="CONDITION",
        help="Only runs that meet this condition, in SQL; see docs/where.md.",
    ),
]

View = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only runs of this saved view; see `runledger views`.",
        autocompletion=views,
    ),
]

ByFolder = Annotated[
    bool,
    typer.Option(
        "--by-folder",
        help="Name each run's project after the last part of its working directory.",
    ),
]

ExplainRun = Annotated[
    list[str] | None,
    typer.Option(
        parser=run_id,
        metavar="RUN_ID",
        help="Explain the differences of this run instead; repeatable.",
    ),
]


def typed(ctx: typer.Context, name: str) -> bool:
    """Whether an option is given on the command line; the environment is only a default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def expect_span(*, exclusive: bool = False, **ends: date | None) -> None:
    """Refuse options of a beginning and an end, in this order, if the span between them is
    empty."""
    from runledger.span import check_span

    options = {f"--{name.replace('_', '-')}": value for name, value in ends.items()}
    with as_usage_error():
        check_span("range", exclusive=exclusive, **options)


def example(*lines: str) -> str:
    """Return an epilog that shows these command lines; \\b keeps click from filling them."""
    return "\b\n" + "\n".join(["Example:", *(f"  {line}" for line in lines)])
