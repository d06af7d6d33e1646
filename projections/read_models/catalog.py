"""The read models found on disk: a folder each, with schema.sql, apply.sql, maybe delete.sql."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

from runledger.errors import ReadModelsError
from runledger.sql_file import Statement, parse

ROOT = Path(__file__).parent
BESIDE: Final = "RUNLEDGER_PROJECTIONS"
PIECES: Final = ("schema", "apply", "delete")
_TABLE: Final = re.compile(r"((?:^--.*\n)*)^CREATE TABLE (\w+)", re.MULTILINE)
_KEY: Final = re.compile(r"\bKey: (\w+(?:, \w+)*)")
_COMMENT: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class ReadModel:
    """The SQL of a read model, as its files hold it; `delete` is empty where nothing is deleted."""

    name: str
    schema: str
    apply_sql: str
    delete_sql: str = ""

    @cached_property
    def apply(self) -> list[Statement]:
        """The statements that fold a batch, in order."""
        return parse(self.apply_sql)

    @cached_property
    def delete(self) -> list[Statement]:
        """The statements that take deleted runs out, in order."""
        return parse(self.delete_sql)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the SQL that makes the rows; a comment makes no rows."""
        pieces = (self.schema, self.apply_sql, self.delete_sql)
        return sha256(_COMMENT.sub("", "\n\0\n".join(pieces)).encode()).hexdigest()

    @cached_property
    def words(self) -> frozenset[str]:
        """What the SQL that makes the rows speaks of, tables and columns among it."""
        sql = _COMMENT.sub("", self.apply_sql + self.delete_sql)
        return frozenset(re.findall(r"\w+", sql.casefold()))

    @cached_property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The key columns of every table, as the comment above its CREATE TABLE says: `Key: …`."""
        keys = {}
        for comment, table in _TABLE.findall(self.schema):
            found = _KEY.search(re.sub(r"\n--", "", comment))
            if found is None:
                raise ReadModelsError(
                    f"{self.name}/schema.sql: expected `Key: column, …` in the comment above "
                    f"table {table}, found none"
                )
            keys[table] = tuple(found[1].split(", "))
        return keys


def discover(beside: Path | None = None) -> tuple[ReadModel, ...]:
    """Return the read models by name: the ledger's own, and those of a folder beside.

    A folder of the same name replaces the ledger's own. Without `beside`, the environment's
    RUNLEDGER_PROJECTIONS names it, if anything does.
    """
    named = os.environ.get(BESIDE)
    if beside is None and named:
        beside = Path(named)
        if not beside.is_dir():
            raise ReadModelsError(f"{BESIDE}: expected a folder of read models, found {named!r}")
        if not any(beside.glob("*/schema.sql")):
            # One of them instead of the folder that it is in, mostly: its SQL would not be used.
            raise ReadModelsError(
                f"{BESIDE}: expected a folder with folders of read models in it, each with a "
                f"schema.sql, found none in {named!r}"
            )
    found = {}
    for root in (ROOT, beside) if beside else (ROOT,):
        for schema in sorted(root.glob("*/schema.sql")):
            files = [schema.with_name(f"{piece}.sql") for piece in PIECES]
            texts = [file.read_text(encoding="utf-8") if file.exists() else "" for file in files]
            found[schema.parent.name] = ReadModel(schema.parent.name, *texts)
    return tuple(found[name] for name in sorted(found))


def changed(built: Sequence[ReadModel], today: Sequence[ReadModel]) -> list[str]:
    """Return the names of read models that are new, gone, or made by other SQL."""
    before = {model.name: model.digest for model in built}
    after = {model.name: model.digest for model in today}
    return sorted(name for name in before.keys() | after if before.get(name) != after.get(name))


def needed(names: Iterable[str], models: Sequence[ReadModel]) -> tuple[ReadModel, ...]:
    """Return the named read models and those whose tables their SQL reads, in order.

    Parked events are kept with every choice: which events a read model sees depends on them.
    """
    owners = {table.casefold(): model.name for model in models for table in model.keys}
    by_name: Mapping[str, ReadModel] = {model.name: model for model in models}
    wanted = {*names, *({"parked"} & by_name.keys())}
    open_names = list(wanted)
    while open_names:
        model = by_name[open_names.pop()]
        for owner in {owners[word] for word in model.words & owners.keys()} - wanted:
            wanted.add(owner)
            open_names.append(owner)
    return tuple(model for model in models if model.name in wanted)
