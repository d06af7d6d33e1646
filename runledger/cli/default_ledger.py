"""The ledger of a command that names none: the one in this folder, otherwise the user's."""

from pathlib import Path
from typing import Final, NamedTuple

_STORE: Final = "runs.db"
_READ_MODELS: Final = "runs.duckdb"


class Chosen(NamedTuple):
    """The store's URL and the read models' path; `folder` is the chosen default folder, or None."""

    store: str
    read_models: str
    folder: Path | None


def chosen(store: str | None, read_models: str | None) -> Chosen:
    """Return the ledger: the given one, `./runs.db` if it exists, otherwise the user's."""
    if store is not None:
        return Chosen(store, read_models or _READ_MODELS, None)
    if Path(_STORE).exists():
        return Chosen(f"sqlite:///{_STORE}", read_models or _READ_MODELS, Path())
    from platformdirs import user_data_path

    folder = user_data_path("runledger", appauthor=False)
    return Chosen(f"sqlite:///{folder / _STORE}", read_models or str(folder / _READ_MODELS), folder)
