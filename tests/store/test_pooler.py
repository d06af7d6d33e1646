"""Behind a pooler in transaction mode a store does what it does without one.

Each of few sessions serves one transaction of any client after the other, so that a setting, a
prepared statement or a lock of a session would be another client's next.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from pathlib import Path

import duckdb
import psycopg
import pytest

from runledger import RunLedger
from runledger.callbacks import CallbackSettings
from runledger.errors import StoreRefused
from runledger.store import open_store
from runledger.store.protocol import Conflicted, Recorded
from tests.callbacks.conftest import LOCAL, receiving, status, until
from tests.store.bouncer import bounced
from tests.store.conftest import Raw
from tests.store.samples import append, write
from tests.store.test_tailing_reader import observe

pytestmark = [
    pytest.mark.pgbouncer,
    pytest.mark.parametrize("store_url", ["postgresql"], indirect=True),
]


@pytest.fixture
def pooled_url(store_url: str) -> Iterator[str]:
    """The URL of a store by way of the pooler; `store_url` goes past it."""
    with bounced(store_url) as url:
        yield url


def test_it_is_found_out_at_opening(store_url: str, pooled_url: str) -> None:
    with closing(open_store(pooled_url)) as store:
        assert store.facts()["connection"] == "through a pooler"
    with closing(open_store(store_url)) as store:
        assert store.facts()["connection"] == "direct"


def test_every_question_and_append_is_answered(pooled_url: str) -> None:
    with ExitStack() as opened:
        stores = [opened.enter_context(closing(open_store(pooled_url))) for _ in range(6)]
        one, two = stores[:2]
        assert one.append([append("a", 0, 2)]) == [Recorded(1, 2)]
        assert two.append([append("a", 1), (write("b", 0), write("c", 0))]) == [
            Conflicted("a", 1, 2),
            Recorded(3, 4),
        ]
        assert one.append([append("a", 2)]) == [Recorded(5, 5)]
        for store in stores:
            assert store.head() == 5
            assert [row.version for row in store.read_stream("a")] == [1, 2, 3]
            store.put_blob("ab" * 32, "image/png", b"x")
            assert store.get_blob("ab" * 32) == ("image/png", b"x")
            store.save_checkpoint("callbacks", 3)
            assert store.checkpoint("callbacks") == 3
            with closing(store.log_reader()) as reader, duckdb.connect() as db:
                db.register("batch", reader.read(1, 4, 10))
                found = db.execute("SELECT position, stream, version FROM batch").fetchall()
                assert found == [(2, "a", 2), (3, "b", 1), (4, "c", 1)]
                assert reader.read(5, 9, 9) is None


def test_nothing_is_left_in_a_session(pooled_url: str, raw: Raw) -> None:
    with closing(open_store(pooled_url)) as store:
        store.append([append("a", 0, 2)])
        with store.leadership("callbacks") as leads:
            assert leads
            assert raw("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []
        # What any other client of the pooler finds in the sessions that were used.
        with closing(psycopg.connect(pooled_url.partition("?")[0], autocommit=True)) as client:
            client.prepare_threshold = None
            for _ in range(6):
                assert client.execute(
                    "SELECT current_setting('lock_timeout'), current_setting('plan_cache_mode'),"
                    " count(*) FROM pg_prepared_statements"
                ).fetchall() == [("0", "auto", 0)]


def test_a_reader_that_follows_sees_every_event_once_and_in_order(pooled_url: str) -> None:
    found, conflicts = observe(pooled_url, 60)
    assert found == []
    assert conflicts > 0


def test_two_stores_of_one_database_are_not_taken_for_each_other(
    store_url: str, pooled_url: str, raw: Raw
) -> None:
    other_url = pooled_url + "x"
    try:
        with closing(open_store(pooled_url)) as store, closing(open_store(other_url)) as other:
            for version in range(20):
                assert store.append([append("a", version)]) == [Recorded(version + 1, version + 1)]
                assert other.append([append("b", version)]) == [Recorded(version + 1, version + 1)]
            assert {row.stream for row in store.read_log(0, 99)} == {"a"}
            assert {row.stream for row in other.read_log(0, 99)} == {"b"}
    finally:
        raw(f"DROP SCHEMA IF EXISTS {other_url.rpartition('schema=')[2]} CASCADE")


def test_a_stricter_isolation_is_refused_and_says_what_to_do(
    store_url: str, pooled_url: str, raw: Raw
) -> None:
    with closing(open_store(store_url)):
        pass
    raw("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'")
    try:
        with (
            closing(open_store(pooled_url)) as store,
            pytest.raises(StoreRefused, match="set default_transaction_isolation for the role"),
        ):
            store.append([append("a", 0)])
    finally:
        raw("ALTER ROLE postgres RESET default_transaction_isolation")


def test_of_three_dispatchers_one_sends(pooled_url: str, tmp_path: Path) -> None:
    settings = CallbackSettings(**{**LOCAL, "lease_seconds": 10.0})

    async def scenario() -> tuple[Counter[str], bool]:
        async with receiving(status(200)) as receiver, AsyncExitStack() as stack:
            ledgers = [
                await stack.enter_async_context(
                    RunLedger.open(
                        pooled_url, None if n else tmp_path / "r.duckdb", callbacks=settings
                    )
                )
                for n in range(3)
            ]

            async def end_one(ledger: RunLedger) -> None:
                run = await ledger.create_run("agent-a", callback_url=receiver.url)
                await ledger.record_step(run.run_id, prompt_tokens=3)
                await ledger.complete_run(run.run_id)

            await asyncio.gather(*(end_one(ledgers[n % 3]) for n in range(60)))
            await until(lambda: len(receiver.requests) >= 60)
            await asyncio.sleep(0.5)
            verified = await ledgers[0].operator.verify()
            ids = Counter(request.headers["webhook-id"] for request in receiver.requests)
            return ids, verified.clean

    ids, clean = asyncio.run(scenario())
    assert (len(ids), sum(ids.values()), clean) == (60, 60, True)
