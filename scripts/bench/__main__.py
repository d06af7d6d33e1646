"""Asks every question and prints one table: `python -m scripts.bench [--size full] [--only …]`."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from scripts.bench import machine, table
from scripts.bench.bench import SIZES, Bench
from scripts.bench.row import Row

QUESTIONS: Final = (
    "append_postgres",
    "append_sqlite",
    "append_umadb",
    "keeper",
    "latency",
    "long_run",
    "replay",
    "archive",
    "checkpoints",
    "incremental",
    "visibility",
    "list_runs",
    "where",
    "server_appends",
    "server_lists",
    "server_followers",
    "receiver",
    "imports",
    "start_up",
    "install_size",
    "replay_interference",
)


def ask(question: str, bench: Bench) -> list[Row]:
    """Return the rows of a question."""
    return list(import_module(f"scripts.bench.{question}").rows(bench))


def write(file: Path, here: Mapping[str, Any], found: Mapping[str, Sequence[Row]]) -> None:
    """Write the rows that are there; after every question, so that a run cut short leaves some."""
    rows = [row.as_json(question) for question, answered in found.items() for row in answered]
    text = json.dumps({"machine": here, "rows": rows}, indent=2, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=QUESTIONS)
    parser.add_argument("--directory", type=Path, help="where files go meanwhile (a real disk)")
    given = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    bench = Bench(SIZES[given.size], given.directory)
    try:
        here = {"size": given.size, **machine.describe(bench.directory)}
        found: dict[str, list[Row]] = {}
        for question in given.only:
            begin = time.perf_counter()
            with console.status(question):
                found[question] = ask(question, bench)
            console.print(f"[dim]{question}: {time.perf_counter() - begin:.1f} s[/dim]")
            if given.json:
                write(given.json, here, found)
    finally:
        bench.close()
    table.show(console, here, found)


if __name__ == "__main__":
    main()
