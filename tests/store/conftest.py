"""What the tests of the stores share: a connection that goes round the ledger's own doors."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from runledger.store.postgres.address import parse

Raw = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def raw(store_url: str) -> Iterator[Raw]:
    """Executes SQL on the store's database as any other client could; `%s` marks a value."""
    if store_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(store_url[10:], isolation_level=None)) as file:
            yield lambda text, *values: file.execute(text.replace("%s", "?"), values).fetchall()
        return
    with psycopg.connect(**parse(store_url).keywords, autocommit=True) as server:

        def execute(text: str, *values: Any) -> list[tuple[Any, ...]]:
            cursor = server.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield execute
