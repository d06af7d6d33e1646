"""Opening a store on PostgreSQL: databases, schemas, roles, settings of the server."""

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runledger.errors import InvalidArgument, StoreUnavailable, UnsafeSetting
from runledger.store import open_store
from runledger.store.postgres.address import parse
from runledger.store.protocol import Recorded
from tests.store.samples import append


@pytest.mark.parametrize("value", ["y", "Yes", "t", "true", "on", "1"])
def test_the_library_s_own_functions_are_refused(
    postgres: str, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", value)
    with pytest.raises(
        UnsafeSetting,
        match=rf"^POSTGRES_ENABLE_DB_FUNCTIONS: .* expected it unset, found '{value}'",
    ):
        open_store(postgres)


def test_a_missing_database_is_named(postgres: str) -> None:
    with pytest.raises(StoreUnavailable, match='database "nowhere" does not exist'):
        open_store(postgres.replace("/postgres?", "/nowhere?"))


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=rf"{tmp_path}/.s.PGSQL.5432.* failed"):
        open_store(f"postgresql:///db?host={tmp_path}")
    with pytest.raises(StoreUnavailable, match=r"127.0.0.1.*Connection refused"):
        open_store("postgresql://u@127.0.0.1:1/db")


@pytest.mark.parametrize(
    "schema", ["Mixed", "1st", "a-b", "a.b", "", "a%20b", "x" * 64, "public%0a", "ünï"]
)
def test_a_schema_that_would_have_to_be_quoted_is_refused(postgres: str, schema: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^store: schema: expected a lower-case name"):
        open_store(f"{postgres}&schema={schema}")


@pytest.fixture
def role(postgres: str) -> Any:
    """Runs SQL as a superuser; the role `clerk` may do nothing yet."""
    with psycopg.connect(postgres, autocommit=True) as db:
        db.execute("CREATE ROLE clerk LOGIN")
        yield lambda text: db.execute(text.encode())
        db.execute("DROP SCHEMA IF EXISTS desk CASCADE")
        db.execute("DROP OWNED BY clerk")
        db.execute("DROP ROLE clerk")


def as_clerk(postgres: str) -> str:
    return postgres.replace("//postgres:@", "//clerk:@") + "&schema=desk"


def test_a_role_that_may_not_make_a_schema_is_told_so(postgres: str, role: Any) -> None:
    with pytest.raises(StoreUnavailable, match="permission denied for database"):
        open_store(as_clerk(postgres))


def test_a_schema_that_somebody_made_for_the_ledger_is_used(postgres: str, role: Any) -> None:
    role("CREATE SCHEMA desk AUTHORIZATION clerk")
    with closing(open_store(as_clerk(postgres))) as store:
        assert store.append([append("a", 0)]) == [Recorded(1, 1)]


def test_tables_that_may_not_be_read_are_named(postgres: str, role: Any) -> None:
    open_store(f"{postgres}&schema=desk").close()
    role("GRANT USAGE ON SCHEMA desk TO clerk")
    with pytest.raises(StoreUnavailable, match="permission denied for table ledger_meta"):
        open_store(as_clerk(postgres))


def test_a_server_whose_default_isolation_is_stricter_makes_no_difference(
    postgres: str, role: Any
) -> None:
    role("CREATE SCHEMA desk AUTHORIZATION clerk")
    role("ALTER ROLE clerk SET default_transaction_isolation = 'serializable'")
    with (
        closing(open_store(as_clerk(postgres))) as one,
        closing(open_store(as_clerk(postgres))) as two,
    ):
        ((level,),) = one._recorder.connect().execute("SHOW transaction_isolation").fetchall()  # type: ignore[attr-defined]
        assert level == "read committed"
        for version in range(0, 20, 2):
            assert one.append([append("a", version)]) == [Recorded(version + 1, version + 1)]
            assert two.append([append("a", version + 1)]) == [Recorded(version + 2, version + 2)]


def test_a_setting_in_the_url_reaches_the_server(postgres: str) -> None:
    keywords = parse(f"{postgres}&options=-c%20statement_timeout%3D7s").keywords
    with psycopg.connect(**keywords) as db:
        assert db.execute("SHOW statement_timeout").fetchone() == ("7s",)
