"""A file of named SQL statements: `-- name: purpose`, then the statement, up to the next name.

In the SQL that folds events, `-- name [topic, …]: purpose` lists the events that the statement
processes.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"^-- ([a-z_]+)(?: \[([a-z_.,\s-]+)\])?: .+$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


class Statement(NamedTuple):
    """A statement; `topics` are the events that it processes, empty for all."""

    name: str
    topics: frozenset[str]
    sql: str

    def wanted(self, topics: frozenset[str], left: frozenset[str]) -> bool:
        """Whether a batch with these topics needs it, after a batch with the topics `left`."""
        # A table that was filled from the last batch must be emptied for the next.
        makes_table = self.sql.startswith("CREATE")
        needs = topics | left if makes_table else topics
        return not self.topics or not self.topics.isdisjoint(needs)


@cache
def statements(path: Path | Traversable) -> dict[str, str]:
    """Return {name: statement} of a .sql file, in the order of the file."""
    return {found.name: found.sql for found in parse(path.read_text(encoding="utf-8"))}


def quoted(name: str) -> str:
    """Return an identifier quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL literal, for statements that accept no parameter."""
    return "'" + text.replace("'", "''") + "'"


def render(statement: str, **identifiers: str) -> str:
    """Return a statement with its {placeholders} filled by identifiers; values are parameters."""
    return fill(statement, **{key: quoted(name) for key, name in identifiers.items()})


def fill(statement: str, **pieces: str) -> str:
    """Return a statement with its {placeholders} filled by pieces of SQL."""
    return statement.format_map(pieces)


def parse(text: str) -> list[Statement]:
    """Return the statements of the text of a .sql file, in order."""
    return list(_parsed(text))


def _parsed(text: str) -> Iterator[Statement]:
    heads = list(_NAME.finditer(text))
    ends = (*(head.start() for head in heads[1:]), len(text))
    for head, end in zip(heads, ends, strict=False):
        topics = frozenset(re.findall(r"[a-z_]+\.[a-z_]+", head[2] or ""))
        sql = _COMMENT.sub("", text[head.end() : end]).strip().removesuffix(";")
        yield Statement(head[1], topics, sql)
