"""Asks every question and prints one table: `python -m scripts.bench [--size full] [--only …]`."""

import argparse
import json
import time
from importlib import import_module
from pathlib import Path
from typing import Final

from rich.console import Console

from scripts.bench import machine, table
from scripts.bench.bench import SIZES, Bench
from scripts.bench.row import Row

QUESTIONS: Final = (
    "append_postgres",
    "append_sqlite",
    "latency",
    "long_run",
    "replay",
    "incremental",
    "visibility",
    "list_runs",
    "start_up",
    "install_size",
)


def ask(question: str, bench: Bench) -> list[Row]:
    """Return the rows of a question."""
    return list(import_module(f"scripts.bench.{question}").rows(bench))


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
    finally:
        bench.close()
    table.show(console, here, found)
    if given.json:
        rows = [row.as_json(question) for question, rows in found.items() for row in rows]
        text = json.dumps({"machine": here, "rows": rows}, indent=2, ensure_ascii=False)
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
