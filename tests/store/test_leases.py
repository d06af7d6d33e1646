"""Leases: one holder at a time, renewed while it lives, taken over after it was killed or stopped."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from runledger.store import Store, open_store
from tests.store.conftest import Raw
from tests.store.workers import lead, lead_and_fork, working


def test_a_vain_attempt_in_the_leader_s_own_process_does_not_loosen_the_lock(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    one, two = open_stores(), open_stores()
    with one.leadership("callbacks") as leads:
        assert leads
        with two.leadership("callbacks") as leads_too:
            assert not leads_too
        with working(lead, store_url) as (other,):
            assert other.told() is False


def expect_taken_over(store: Store) -> None:
    """Wait for the lease to run out, as another dispatcher does; fail if it never does."""
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        with store.leadership("callbacks", 1.0) as leads:
            if leads:
                return
        time.sleep(0.05)
    pytest.fail("the lease is still held")


@pytest.mark.slow
def test_the_lease_of_a_killed_leader_runs_out(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    store = open_stores()
    # Long enough that a busy machine does not keep the leader from renewing it in time.
    with working(lead, store_url, 6.0) as (leader,):
        assert leader.told() is True
        with store.leadership("callbacks") as leads:
            assert not leads
        leader.kill()
        expect_taken_over(store)


@pytest.mark.slow
def test_a_stopped_leader_is_followed_by_another_and_knows_it_when_it_goes_on(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    store = open_stores()
    with working(lead, store_url, 1.0) as (leader,):
        assert leader.told() is True
        os.kill(leader.process.pid or 0, signal.SIGSTOP)
        expect_taken_over(store)
        with store.leadership("callbacks") as leads:
            assert leads
            os.kill(leader.process.pid or 0, signal.SIGCONT)
            leader.pipe.send("do you lead?")
            assert leader.told() is False


@pytest.mark.slow
def test_a_forked_child_does_not_keep_the_lease_of_its_killed_parent(
    open_stores: Callable[[], Store], store_url: str
) -> None:
    store = open_stores()
    with working(lead_and_fork, store_url, 1.0) as (leader,):
        child = leader.told()
        try:
            leader.kill()
            expect_taken_over(store)
            os.kill(child, 0)  # it was there all the time
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_a_lease_is_renewed_for_as_long_as_its_holder_lives(
    open_stores: Callable[[], Store], raw: Raw
) -> None:
    one, two = open_stores(), open_stores()

    def written() -> str:
        ((value,),) = raw("SELECT value FROM ledger_meta WHERE key = 'lease:callbacks'")
        return str(value)

    with one.leadership("callbacks", 9.0) as leads:
        assert leads
        first, ends = written(), time.monotonic() + 120
        while written() == first:
            assert time.monotonic() < ends, "it is not renewed"
            time.sleep(0.05)
        assert written().split()[0] == first.split()[0], "another holder has it"
        assert one.leads("callbacks")
        with two.leadership("callbacks", 9.0) as leads_too:
            assert not leads_too


def test_one_file_by_two_names_has_one_lease(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "folder").symlink_to("data")
    (tmp_path / "link.db").symlink_to("data/s.db")
    with closing(open_store(f"sqlite:///{tmp_path}/data/s.db")) as store:
        for other in ("folder/s.db", "link.db"):
            with (
                closing(open_store(f"sqlite:///{tmp_path}/{other}")) as by_another_name,
                store.leadership("callbacks") as leads,
                by_another_name.leadership("callbacks") as leads_too,
            ):
                assert (leads, leads_too) == (True, False)
