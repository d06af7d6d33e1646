"""A connection that parses a text once does what one does that parses it each time."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import pytest

from projections.files.duckdb_connection import Parsed, connect


class _Counting:
    """A connection that tells which texts it parsed by themselves."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.parsed: list[str] = []

    def extract_statements(self, sql: str) -> Any:
        self.parsed.append(sql)
        return self._db.extract_statements(sql)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


@pytest.fixture
def counting() -> Iterator[_Counting]:
    with closing(connect()) as db:
        yield _Counting(db)


def test_a_text_is_parsed_once_and_executed_each_time(counting: _Counting) -> None:
    db = Parsed(counting)
    for n in range(3):
        db.execute("CREATE OR REPLACE TEMP TABLE t AS SELECT $n::BIGINT AS n", {"n": n})
        assert db.execute("FROM t").fetchall() == [(n,)]
    # A table of other columns: what is parsed is bound anew.
    db.execute("CREATE OR REPLACE TEMP TABLE t AS SELECT 'a' AS b, 'c' AS d")
    assert db.execute("FROM t").fetchall() == [("a", "c")]
    assert counting.parsed.count("FROM t") == 1
    assert len(counting.parsed) == 3


def test_several_statements_in_one_text_are_all_executed(counting: _Counting) -> None:
    db = Parsed(counting)
    for _ in range(2):
        found = db.execute("CREATE OR REPLACE TEMP TABLE t AS SELECT 1 AS n; FROM t").fetchall()
        assert found == [(1,)]


def test_what_is_no_sql_is_refused_each_time(counting: _Counting) -> None:
    db = Parsed(counting)
    for _ in range(2):
        with pytest.raises(duckdb.ParserException):
            db.execute("SELEC 1")


def test_texts_of_one_batch_do_not_pile_up(counting: _Counting) -> None:
    db = Parsed(counting)
    for n in range(300):
        db.execute(f"SELECT {n}")
    db.execute("SELECT 299")
    assert len(counting.parsed) == 300
    db.execute("SELECT 0")
    assert len(counting.parsed) == 301
