"""Checks a file that a caller names for output: it must not be another kind of file already."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from projections.archive.archive import Archive
from projections.archive.store import SCHEME
from projections.generations.generations import Generations
from runledger.errors import ArchiveError, InvalidArgument

_SQLITE: Final = "sqlite:///"
_OF_A_STORE: Final = ("", "-wal", "-shm", "-journal")
_OF_READ_MODELS: Final = ("", ".wal")
_PARQUET: Final = b"PAR1"


class Kind(NamedTuple):
    """A kind of output: its name, and a test whether an existing file is of this kind."""

    name: str
    recognized: Callable[[Path], bool]


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) in (b"", _PARQUET)


PARQUET: Final = Kind("a Parquet file", _is_parquet)


def expect_target(
    target: Path, kind: Kind, store: str, read_models: Path, *, overwrite: bool
) -> None:
    """Raise InvalidArgument unless the target is a new file or one of the kind to overwrite.

    Files of the store at this URL, of these read models and of an archive are always refused,
    whatever they contain and even if they do not exist yet.
    """
    place = f"{str(target)!r}: expected a new file or {kind.name} to replace, found"
    path = target.resolve()
    if not path.parent.is_dir():
        raise InvalidArgument(f"{str(target)!r}: expected a file in a folder that is there")
    # Checked before it is opened: closing a file releases every lock of this process on it.
    if _is_one_of(path, _files(store.removeprefix(_SQLITE), _OF_A_STORE, store)):
        raise InvalidArgument(f"{place} the store")
    if _is_one_of(path, _files(str(read_models), _OF_READ_MODELS)):
        raise InvalidArgument(f"{place} the read models")
    kept = read_models.absolute()
    if path.parent == kept.parent.resolve() and path.name.startswith(f"{kept.name}.damaged"):
        raise InvalidArgument(f"{place} read models that were damaged")
    folder = Generations(read_models).folder.resolve()
    if path == folder or folder in path.parents:
        raise InvalidArgument(f"{place} a place among the generations of the read models")
    expect_replaceable(target, kind, store, overwrite=overwrite)


def expect_replaceable(target: Path, kind: Kind, store: str = "", *, overwrite: bool) -> None:
    """Raise InvalidArgument unless the target is a new file or one of the kind to overwrite.

    It is for a ledger without files here; `expect_target` looks at those of a ledger as well.
    """
    place = f"{str(target)!r}: expected a new file or {kind.name} to replace, found"
    path = target.resolve()
    if not path.parent.is_dir():
        raise InvalidArgument(f"{str(target)!r}: expected a file in a folder that is there")
    if _in_archive(path, store):
        raise InvalidArgument(f"{place} a place in an archive")
    if not path.exists():
        return
    if not path.is_file():
        raise InvalidArgument(f"{place} what is no file")
    try:
        recognized = kind.recognized(path)
    except OSError as e:
        raise InvalidArgument(f"{str(target)!r}: {e.strerror or e}") from e
    if not recognized:
        raise InvalidArgument(f"{place} a file of another kind")
    if not overwrite:
        raise InvalidArgument(
            f"{str(target)!r}: expected a new file, found one; name another, or add `--overwrite` "
            f"to replace it"
        )


def _files(path: str, endings: tuple[str, ...], url: str = _SQLITE) -> list[Path]:
    return [Path(f"{path}{ending}") for ending in endings] if url.startswith(_SQLITE) else []


def _is_one_of(path: Path, files: list[Path]) -> bool:
    # Compared by inode too: a second name of a file is the same file.
    return any(
        path == file.resolve() or (path.exists() and file.exists() and path.samefile(file))
        for file in files
    )


def _in_archive(path: Path, store: str) -> bool:
    if store.startswith(SCHEME):
        folder = Path(store.removeprefix(SCHEME)).resolve()
        if path == folder or folder in path.parents:
            return True
    # Files of any archive are refused, because its segments are Parquet files as well.
    try:
        return bool(Archive(path.parent).manifest.segments)
    except ArchiveError:
        return False
