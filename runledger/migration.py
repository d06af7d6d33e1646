"""Upgrades of a ledger: the changes to its store and its read models."""

from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from projections.fold.generation import Generation
from projections.fold.layouts import LAYOUT
from projections.fold.layouts import LAYOUTS as GENERATION_LAYOUTS
from projections.publishing.publish import FILE
from runledger.store import open_store
from runledger.store.layouts import LAYOUTS as STORE_LAYOUTS
from runledger.store.layouts import stored_layout
from runledger.store.schema_version import SCHEMA_VERSION


class Change(NamedTuple):
    """A part of a ledger with its present and its new layout.

    Parameters:
        part: the store or the read models.
        found: the number of its layout; None if the part does not exist.
        newest: the number of the newest layout.
        adds: what each layout between the two adds, in order.
        by: the command that makes the change; None if there is none to make.
    """

    part: Literal["store", "read models"]
    found: int | None
    newest: int
    adds: list[str]
    by: str | None


def changes(url: str, read_models: str | Path) -> list[Change]:
    """Return the changes of an upgrade of a ledger to this version, without making them.

    Parameters:
        url: the store, sqlite:///path or postgresql://….
        read_models: the file of the live read models, which may be missing.

    Raises:
        StoreUnavailable: if the store cannot be read.
        ReadModelsLocked: if another process has the read models open.
        ReadModelsError: if they cannot be used, or were made by a newer version.
    """
    found = stored_layout(url)
    store = Change(
        "store",
        found,
        SCHEMA_VERSION,
        _added(STORE_LAYOUTS, found),
        None if found in (None, SCHEMA_VERSION) else "runledger migrate",
    )
    return [store, _of_read_models(Path(read_models))]


def migrate(url: str) -> None:
    """Migrate a store to the newest layout; stored events stay as they are.

    Parameters:
        url: the store, which must exist.

    Raises:
        StoreUnavailable: if it does not exist or cannot be written to.
        StoreIsNewer: if a newer version has written it.
    """
    open_store(url, create=False).close()


def _of_read_models(named: Path) -> Change:
    path = named / FILE if named.is_dir() else named
    if not path.exists():
        return Change("read models", None, LAYOUT, [], None)
    with closing(Generation(path, read_only=True)) as generation:
        found, stale = generation.about.layout, generation.changed
    adds = _added(GENERATION_LAYOUTS, found)
    if stale:
        adds.append(f"other SQL of {', '.join(stale)}")
    by = "runledger replay --switch" if adds else None
    return Change("read models", found, LAYOUT, adds, by)


def _added(layouts: dict[int, str], found: int | None) -> list[str]:
    if found is None:
        return []
    return [adds for number, adds in layouts.items() if number > found]
