"""A file of named SQL statements: `-- name: purpose`, then the statement, up to the next name."""

import re
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path

_NAME = re.compile(r"^-- ([a-z_]+): .+$", re.MULTILINE)


@cache
def statements(path: Path | Traversable) -> dict[str, str]:
    """Return {name: statement} of a .sql file, in the order of the file."""
    return parse(path.read_text(encoding="utf-8"))


def quoted(name: str) -> str:
    """Return an identifier as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def render(statement: str, **identifiers: str) -> str:
    """Return a statement with its {placeholders} filled by identifiers; values are parameters."""
    return statement.format_map({key: quoted(name) for key, name in identifiers.items()})


def parse(text: str) -> dict[str, str]:
    """Return {name: statement} of the text of a .sql file."""
    pieces = _NAME.split(text)
    return {
        name: statement.strip().removesuffix(";")
        for name, statement in zip(pieces[1::2], pieces[2::2], strict=True)
    }
