"""The read models found on disk: a folder each, with model.toml and the SQL beside it."""

import os
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from projections.read_models.buckets import for_each_bucket
from projections.read_models.declaration import FILE, parse
from projections.read_models.order import in_order
from projections.read_models.read_model import ReadModel
from runledger.errors import ReadModelsError
from runledger.sql_file import parse as parse_sql

ROOT = Path(__file__).parent
BESIDE: Final = "RUNLEDGER_PROJECTIONS"
PIECES: Final = ("schema", "apply", "delete")


def discover(beside: Path | None = None) -> tuple[ReadModel, ...]:
    """Return the read models in the order in which they are applied.

    They are the ledger's own and those of the folder `beside`; there a folder of the same name
    replaces the ledger's own. Without `beside`, RUNLEDGER_PROJECTIONS names it, if set.

    Raises:
        ReadModelsError: if a folder has no read models, or if a declaration is wrong.
    """
    named = os.environ.get(BESIDE)
    if beside is None and named:
        beside = Path(named)
        if not beside.is_dir():
            raise ReadModelsError(f"{BESIDE}: expected a folder of read models, found {named!r}")
        if not any(beside.glob("*/schema.sql")):
            # Usually the path of one read model instead of its parent folder: its SQL would not be
            # used.
            raise ReadModelsError(
                f"{BESIDE}: expected a folder with folders of read models in it, each with a "
                f"schema.sql, found none in {named!r}"
            )
    found = {}
    for root in (ROOT, beside) if beside else (ROOT,):
        for schema in sorted(root.glob("*/schema.sql")):
            found[schema.parent.name] = _read(schema.parent)
    return _parsed(tuple(found.values()))


class _Texts(NamedTuple):
    """The files of a read model."""

    name: str
    schema: str
    apply: str
    delete: str
    declared: str


def _read(folder: Path) -> _Texts:
    files = [folder / f"{piece}.sql" for piece in PIECES]
    schema, apply, delete = (
        file.read_text(encoding="utf-8") if file.exists() else "" for file in files
    )
    declared = folder / FILE
    if not declared.exists():
        raise ReadModelsError(
            f"{str(declared)!r}: expected a file that declares the tables of the read model, found "
            f"none; write at least `[tables.{folder.name}]` and the columns of its `key`"
        )
    return _Texts(folder.name, schema, apply, delete, declared.read_text(encoding="utf-8"))


# An opening asks four times, and files seldom change: what they hold decides, not when it was read.
@lru_cache(maxsize=8)
def _parsed(found: tuple[_Texts, ...]) -> tuple[ReadModel, ...]:
    return in_order(
        [
            ReadModel(
                texts.name,
                for_each_bucket(texts.schema),
                for_each_bucket(texts.apply),
                for_each_bucket(texts.delete),
                parse(texts.name, texts.declared),
            )
            for texts in found
        ]
    )


@cache
def queries(model: str) -> dict[str, str]:
    """Return {name: statement} of the queries.sql of one of the ledger's own read models."""
    text = (ROOT / model / "queries.sql").read_text(encoding="utf-8")
    return {found.name: found.sql for found in parse_sql(for_each_bucket(text))}


@cache
def schema(model: str) -> str:
    """Return the schema.sql of one of the ledger's own read models, a line for each column."""
    return for_each_bucket(_read(ROOT / model).schema)


def changed(built: Sequence[ReadModel], today: Sequence[ReadModel]) -> list[str]:
    """Return the names of read models that are new, removed, or made by changed SQL.

    A read model that reads a changed one counts as changed too.
    """
    before = {model.name: model.digest for model in built}
    after = {model.name: model.digest for model in today}
    return sorted(name for name in before.keys() | after if before.get(name) != after.get(name))


def described_otherwise(built: Sequence[ReadModel], today: Sequence[ReadModel]) -> list[ReadModel]:
    """Return the read models with the same SQL as when they were built, but another declaration."""
    before = {model.name: model for model in built}
    return [
        model
        for model in today
        if (was := before.get(model.name)) is not None
        and was.digest == model.digest
        and was.description_digest != model.description_digest
    ]


def needed(names: Iterable[str], models: Sequence[ReadModel]) -> tuple[ReadModel, ...]:
    """Return the named read models, all that they read, and those that are required, in order."""
    by_name = {model.name: model for model in models}
    wanted = {*names, *(model.name for model in models if model.declaration.required)}
    open_names = list(wanted)
    while open_names:
        reads = by_name[open_names.pop()].declaration.reads
        if reads is None:
            return tuple(models)
        open_names += set(reads) - wanted
        wanted.update(reads)
    return tuple(model for model in models if model.name in wanted)
