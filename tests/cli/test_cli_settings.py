"""The global options, help pages and start-up."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from command_line import RUN, Command

from runledger.cli.main import app


def test_global_options_stand_anywhere(runledger: Command, runs: Path, tmp_path: Path) -> None:
    elsewhere = {"RUNLEDGER_STORE": "sqlite:///nowhere.db"}
    url = f"sqlite:///{tmp_path}/runs.db"
    for words in (
        ("--store", url, "runs", "show", RUN.format(1)),
        ("runs", "--store", url, "show", RUN.format(1)),
        ("runs", "show", RUN.format(1), f"--store={url}"),
    ):
        assert runledger(*words, env=elsewhere).code == 0, words


def test_an_option_can_come_from_the_environment(runledger: Command, runs: Path) -> None:
    env = {"RUNLEDGER_RUNS_LIST_STATUS": "failed", "RUNLEDGER_JSON": "1"}
    assert [run["run_id"] for run in runledger("runs", "list", env=env).json] == [RUN.format(2)]


def test_organizations_do_not_see_each_other(runledger: Command, runs: Path) -> None:
    assert runledger("runs", "list", "--organization", "org-other", "--json").json == []
    refused = runledger("runs", "show", RUN.format(1), "--organization", "org-other")
    assert refused.code == 1
    assert "not found" in refused.err


def _commands() -> list[tuple[list[str], typer.core.TyperCommand]]:
    found = []

    def walk(path: list[str], command: typer.core.TyperCommand) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk([*path, name], inner)
        if not hasattr(command, "commands"):
            found.append((path, command))

    walk([], typer.main.get_command(app))
    return found


def test_every_command_has_an_example_and_every_option_a_twin(runledger: Command) -> None:
    for path, command in _commands():
        page = runledger(*path, "--help").out
        assert "Example:\n" in page, path
        assert f"runledger {' '.join(path)}" in page, path
        for option in command.params:
            if isinstance(option, typer.core.TyperOption) and option.name != "help":
                assert option.opts[0] in page, path
        options = [line for line in page.splitlines() if line.startswith("  -")]
        assert " ".join(page.split()).count("[env var:") == len(options) - len(["--help"]), path


def _loaded(*words: str) -> set[str]:
    """Run a command in a process of its own; return the modules that it loaded."""
    script = (
        "import sys\n"
        "from runledger.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as e: assert not e.code\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return set(done.stderr.split())


def test_help_does_not_load_what_it_does_not_need() -> None:
    heavy = {"duckdb", "pydantic", "psycopg", "eventsourcing", "rich", "asyncio", "httpx"}
    assert not heavy & _loaded("--help")


@pytest.mark.slow
def test_a_list_does_not_load_what_it_does_not_need(runs: Path) -> None:
    files = ("--store", f"sqlite:///{runs}/runs.db", "--read-models", f"{runs}/runs.duckdb")
    loaded = _loaded(*files, "runs", "list")
    own = {name.partition("runledger.cli.")[2] for name in loaded} - {""}
    asked = {
        "main",
        "bars",
        "default_ledger",
        "formats",
        "known_ids",
        "settings",
        "options",
        "parsers",
        "printing",
        "progress",
        "storable",
    }
    assert own == asked | {"runs", "run_list"}
    heavy = {
        "adbc_driver_manager",
        "httpx",
        "psycopg",
        "rich.console",
        "rich.table",
        "runledger.api_messages",
        "runledger.callbacks.dispatcher",
        "runledger.importers",
    }
    assert not heavy & loaded
    assert {"duckdb", "runledger.store.sqlite.store"} <= loaded
