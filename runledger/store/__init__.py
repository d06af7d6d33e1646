"""The log: SQLite embedded, PostgreSQL for loads; the only room that speaks the library's words."""

from runledger.errors import InvalidArgument, OnlyRead
from runledger.store.protocol import Store

__all__ = ["Store", "open_store"]


def open_store(url: str, *, create: bool = True) -> Store:
    """Open the store at `sqlite:///path` or `postgresql://…`; make its tables if they are missing.

    `create=False` refuses a store that is not there. A `schema` query parameter names the
    PostgreSQL schema (default `public`). Raises StoreUnavailable, StoreIsNewer, UnsafeSetting, or
    InvalidArgument for a URL of another kind, OnlyRead for that of an archive.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest.startswith("///"):
        from runledger.store.sqlite.store import SQLiteStore

        return SQLiteStore(url, create=create)
    if scheme in ("postgresql", "postgres") and rest.startswith("//"):
        from runledger.store.postgres.store import PostgresStore

        return PostgresStore(url, create=create)
    if scheme == "archive":
        raise OnlyRead(url)
    # Never the whole URL: it may hold a password.
    raise InvalidArgument(
        f"store: expected sqlite:///path/to/file.db, postgresql://user@host/database, or "
        f"archive:folder to read, found {url if scheme == 'sqlite' else scheme!r}"
    )
