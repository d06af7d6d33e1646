"""Every Python program in README and docs runs as it stands; every command line is one."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from documents import ROOT, blocks, command_lines, run_program

from runledger.cli.main import app
from scripts.write_reference import walk

pytestmark = pytest.mark.slow

_PROGRAMS = dict(blocks("python"))
_LINES = dict(command_lines())


@pytest.mark.parametrize("place", _PROGRAMS)
def test_a_program_in_the_docs_runs(place: str, tmp_path: Path) -> None:
    run_program(_PROGRAMS[place], tmp_path)


@pytest.mark.parametrize("place", _LINES)
def test_a_command_line_in_the_docs_is_one(place: str) -> None:
    root = typer.main.get_command(app)
    known = {tuple(path): command for path, command in walk(root, [])}
    words = shlex.split(re.split(r" [|>#&] ?", _LINES[place])[0])[1:]
    options = {name for option in root.params for name in option.opts}
    path: tuple[str, ...] = ()
    for word in words:
        if path not in known and any(other[: len(path) + 1] == (*path, word) for other in known):
            path = (*path, word)
    assert path in known or words in (["--help"], []), f"no such command: {words}"
    if path in known:
        for option in known[path].params:
            options |= {*option.opts, *option.secondary_opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given - options <= {"--help"}, f"no such option: {sorted(given - options)}"


def test_the_readme_shows_a_program_and_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert any(place.startswith("README.md") for place in _PROGRAMS)
    assert "make run" in text
    assert "make test" in text
