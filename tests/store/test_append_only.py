"""Append-only is enforced by the databases themselves, whoever connects."""

import psycopg
import pytest

from runledger.store import Store
from tests.store.conftest import Raw
from tests.store.samples import append


@pytest.mark.parametrize(
    ("statement", "deed"),
    [
        ("UPDATE ledger_events SET topic = 'x'", "updated"),
        ("UPDATE ledger_events SET contents = NULL WHERE notification_id = 1", "updated"),
        ("DELETE FROM ledger_events", "deleted"),
        ("DELETE FROM ledger_events WHERE originator_id = 'a'", "deleted"),
        (
            "INSERT INTO ledger_events (originator_id, originator_version, topic, state)"
            " VALUES ('a', 1, 'x', '') ON CONFLICT (originator_id, originator_version)"
            " DO UPDATE SET topic = 'x'",
            "updated",
        ),
    ],
)
def test_the_database_itself_refuses_to_change_an_event(
    store: Store, raw: Raw, statement: str, deed: str
) -> None:
    store.append([append("a", 0, 2)])
    before = store.read_log(0, 9, contents=True)
    with pytest.raises(Exception) as caught:
        raw(statement)
    # The upsert of an existing row is caught by the guard against REPLACE on SQLite.
    assert message(caught.value) in {
        f"the ledger is append-only: an event is never {deed}",
        "the ledger is append-only: an event is never replaced",
    }
    assert store.read_log(0, 9, contents=True) == before


def message(error: BaseException) -> str:
    return (error.diag.message_primary if isinstance(error, psycopg.Error) else str(error)) or ""


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_the_log_cannot_be_truncated(store: Store, raw: Raw) -> None:
    store.append([append("a", 0)])
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        raw("TRUNCATE ledger_events")
    assert message(caught.value) == "the ledger is append-only: an event is never truncated"
    assert store.head() == 1


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("values", ["(1, 'b', 1, 'x', '', NULL)", "(NULL, 'a', 1, 'x', '', NULL)"])
def test_an_event_cannot_be_replaced(store: Store, raw: Raw, values: str) -> None:
    store.append([append("a", 0)])
    before = store.read_log(0, 9)
    with pytest.raises(Exception, match=r"^the ledger is append-only: an event is never replaced$"):
        raw(f"INSERT OR REPLACE INTO ledger_events VALUES {values}")
    assert store.read_log(0, 9) == before
