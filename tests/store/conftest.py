"""Shared by the tests of the stores: a connection that bypasses the ledger's own code."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from runledger.store.postgres.address import parse

Raw = Callable[..., list[tuple[Any, ...]]]


def connected(store_url: str, **more: Any) -> "psycopg.Connection[tuple[Any, ...]]":
    """Return a connection to a store's server that finds its tables without their schema."""
    address = parse(store_url)
    connection = psycopg.connect(**address.keywords, **more)
    with connection.transaction():
        connection.execute(f"SET search_path TO {address.schema}".encode())
    return connection


@pytest.fixture
def raw(store_url: str) -> Iterator[Raw]:
    """Executes SQL on the store's database as any other client could; `%s` marks a value."""
    if store_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(store_url[10:], isolation_level=None)) as file:
            yield lambda text, *values: file.execute(text.replace("%s", "?"), values).fetchall()
        return
    with connected(store_url, autocommit=True) as server:

        def execute(text: str, *values: Any) -> list[tuple[Any, ...]]:
            cursor = server.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield execute
