"""The log: SQLite embedded, PostgreSQL for loads; the only room that speaks the library's words."""

from pathlib import Path
from typing import Final

from runledger.errors import InvalidArgument, OnlyRead
from runledger.store.protocol import Store

__all__ = ["Store", "absolute", "check_url", "open_store"]

_SQLITE: Final = "sqlite:///"
_BEGINNINGS: Final = (_SQLITE, "postgresql://", "postgres://", "archive:")


def open_store(url: str, *, create: bool = True) -> Store:
    """Open the store at `sqlite:///path` or `postgresql://…`; make its tables if they are missing.

    `create=False` refuses a store that is not there. A `schema` query parameter names the
    PostgreSQL schema (default `public`). Raises StoreUnavailable, StoreIsNewer, UnsafeSetting, or
    InvalidArgument for a URL of another kind, OnlyRead for that of an archive.
    """
    check_url(url)
    if url.startswith("archive:"):
        raise OnlyRead(url)
    if url.startswith("sqlite:"):
        from runledger.store.sqlite.store import SQLiteStore

        return SQLiteStore(absolute(url), create=create)
    from runledger.store.postgres.store import PostgresStore

    return PostgresStore(url, create=create)


def absolute(url: str) -> str:
    """Return the URL of a SQLite store with an absolute path; other URLs as they are."""
    path = url.removeprefix(_SQLITE)
    if path in (url, "") or ":memory:" in path:
        return url
    return f"{_SQLITE}{Path(path).absolute()}"


def check_url(url: str) -> None:
    """Raise InvalidArgument for a URL that is of no kind of store, nor of an archive."""
    if url.startswith(_BEGINNINGS):
        return
    scheme = url.partition(":")[0]
    # Never the whole URL: it may hold a password.
    raise InvalidArgument(
        f"store: expected sqlite:///path/to/file.db, postgresql://user@host/database, or "
        f"archive:folder to read, found {url if scheme == 'sqlite' else scheme!r}"
    )
