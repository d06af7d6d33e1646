"""A progress bar on stderr, for a terminal and for long work; nothing otherwise."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORTH_A_BAR = 20_000


@contextmanager
def progress(what: str, total: int, unit: str = "events") -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the amount done since its last call."""
    if total < WORTH_A_BAR or not sys.stderr.isatty():
        yield lambda _amount: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f}/s")

    bytes_ = (DownloadColumn(), TransferSpeedColumn())
    amounts = bytes_ if unit == "bytes" else (MofNCompleteColumn(), TextColumn(unit), Speed())
    with Progress(
        TextColumn(what),
        BarColumn(),
        *amounts,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda amount: bar.advance(task, amount)
