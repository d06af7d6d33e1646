"""Turns, shares and pauses: one dead receiver holds one place, and nothing waits for ever."""

import asyncio
import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from runledger.callbacks import CallbackSettings
from runledger.callbacks.outbox import Pending, receiver_of
from runledger.callbacks.receivers import Receivers
from tests.callbacks.conftest import BEGIN, Post, receiving, status


def waiting(receivers, name, count):
    made = [Pending(f"{name}-{n}", "org", name) for n in range(count)]
    for pending in made:
        receivers.add(pending)
    return made


def taken(receivers, now=BEGIN):
    found = []
    while (pending := receivers.take(now)) is not None:
        found.append(pending)
    return found


def finish(receivers, pending, alive, now=BEGIN):
    pending.busy = False
    pending.settled = True
    receivers.done(pending, alive, now)


def test_a_receiver_earns_its_places_and_loses_them_with_a_failure():
    receivers = Receivers(CallbackSettings(per_receiver=4))
    waiting(receivers, "a", 100)
    shares = []
    for alive in (True, True, True, True, False, True):
        batch = taken(receivers)
        shares.append(len(batch))
        finish(receivers, batch[0], alive)
        for pending in batch[1:]:
            finish(receivers, pending, None)
    assert shares == [2, 3, 4, 4, 4, 1]


def test_receivers_take_turns_within_the_limit_of_all():
    receivers = Receivers(CallbackSettings(max_in_flight=5))
    for name in "abc":
        waiting(receivers, name, 10)
    first = taken(receivers)
    assert len(first) == 3  # what was never asked has half of the places
    for pending in first:
        finish(receivers, pending, True)
    then = taken(receivers)
    assert len(then) == 5
    for pending in then:
        finish(receivers, pending, True)
    assert {pending.receiver for pending in first + then} == set("abc")
    assert sorted(p.receiver for p in taken(receivers)) in (
        ["a", "a", "b", "b", "c"],
        ["a", "a", "b", "c", "c"],
        ["a", "b", "b", "c", "c"],
    )


def answered(receivers, name):
    """Let a receiver answer once, and have something to be sent again."""
    (first,) = waiting(receivers, name, 1)
    assert receivers.take(BEGIN) is first
    finish(receivers, first, True)
    (next_one,) = waiting(receivers, name, 1)
    return next_one


def test_one_that_answered_is_served_before_any_number_that_never_did():
    receivers = Receivers(CallbackSettings(max_in_flight=8))
    wanted = answered(receivers, "healthy")
    for number in range(1000):
        waiting(receivers, f"dead-{number}", 3)
    first = taken(receivers)
    assert wanted in first
    assert len(first) == 5
    for pending in first:
        if pending is not wanted:
            assert receivers.slow(pending) is None
    finish(receivers, wanted, True)
    (again,) = waiting(receivers, "healthy", 1)
    assert again in taken(receivers)


def test_one_that_has_just_appeared_does_not_wait_behind_those_that_never_answered():
    receivers = Receivers(CallbackSettings(max_in_flight=4))
    for number in range(1000):
        waiting(receivers, f"dead-{number}", 1)
    for pending in taken(receivers):
        receivers.slow(pending)
    (wanted,) = waiting(receivers, "new", 1)
    assert wanted in taken(receivers)


def test_those_that_wait_longest_are_asked_however_many_newer_ones_appear():
    receivers = Receivers(CallbackSettings(max_in_flight=2))
    (oldest,) = waiting(receivers, "oldest", 1)
    for number in range(20):
        waiting(receivers, f"newer-{number}", 1)
        found = receivers.take(BEGIN)
        if found is oldest:
            return
        finish(receivers, found, False)
    raise AssertionError("the oldest was never asked")


def test_a_slow_attempt_gives_its_place_up_and_of_too_many_the_oldest_ends():
    receivers = Receivers(CallbackSettings(max_in_flight=2, max_slow=3))
    for number in range(9):
        waiting(receivers, f"dead-{number}", 1)
    slow = []
    for _ in range(3):
        pending = receivers.take(BEGIN)
        assert receivers.take(BEGIN) is None
        assert receivers.slow(pending) is None
        slow.append(pending)
    pending = receivers.take(BEGIN)
    assert receivers.slow(pending) is slow[0]
    finish(receivers, slow[0], False)
    finish(receivers, pending, True)
    assert receivers.slow(pending) is None  # it ended before it was told


def test_after_failures_in_a_row_one_attempt_at_a_time_asks_whether_it_is_back():
    settings = CallbackSettings(breaker_failures=3, breaker_seconds=10, breaker_max_seconds=25)
    receivers = Receivers(settings)
    now, pauses = BEGIN, []
    for _ in range(6):
        for pending in waiting(receivers, "a", 1):
            pending.due = now
            receivers.add(pending)
        (probe,) = taken(receivers, now)
        assert receivers.pause(probe, now) is None
        finish(receivers, probe, False, now)
        late = Pending("late", "org", "a", due=now + timedelta(microseconds=1))
        receivers.add(late)
        waits = 0
        while not (back := taken(receivers, now + timedelta(seconds=waits + 1))):
            waits += 1
        pauses.append(waits)
        finish(receivers, back[0], None)
        now += timedelta(seconds=waits + 1)
    assert pauses == [0, 0, 9, 19, 24, 24]
    waiting(receivers, "a", 1)
    (probe,) = taken(receivers, now)
    finish(receivers, probe, True, now)
    waiting(receivers, "a", 9)
    assert len(taken(receivers, now)) == 2


def test_receivers_that_nothing_waits_for_are_forgotten():
    receivers = Receivers(CallbackSettings())
    for number in range(1000):
        for pending in waiting(receivers, f"host-{number}", 1):
            assert receivers.take(BEGIN) is pending
            finish(receivers, pending, True)
    assert receivers.take(BEGIN) is None
    assert len(receivers) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["add", "take", "ok", "bad", "later"])),
        max_size=80,
    )
)
def test_nothing_is_given_twice_or_lost_and_limits_hold(moves):
    settings = CallbackSettings(max_in_flight=4, per_receiver=3, breaker_failures=2)
    receivers, now = Receivers(settings), BEGIN
    open_, flying = [], []
    for number, move in moves:
        if move == "add":
            open_ += waiting(receivers, f"h{number}", 1)
        elif move == "take":
            pending = receivers.take(now)
            if pending is not None:
                assert pending in open_
                assert pending not in flying
                flying.append(pending)
        elif move == "later":
            now += timedelta(seconds=number * 20)
        elif flying:
            pending = flying.pop(number % len(flying))
            open_.remove(pending)
            finish(receivers, pending, move == "ok", now)
        assert len(flying) <= 4
        assert all(sum(p.receiver == f"h{n}" for p in flying) <= 3 for n in range(5))
    while open_:
        for pending in flying + taken(receivers, now):
            open_.remove(pending)
            finish(receivers, pending, True, now)
        flying = []
        now += timedelta(hours=1)
    assert receivers.take(now) is None
    assert len(receivers) == 0


def test_the_receiver_is_the_host_and_port_of_the_url():
    same = ["https://Example.com/a", "https://example.com:443/b?c", "https://example.com./"]
    assert {receiver_of(url) for url in same} == {"example.com:443"}
    assert receiver_of("http://example.com/") == "example.com:80"
    assert receiver_of("https://[2606:4700::1]:8443/") == "2606:4700::1:8443"
    for odd in ("https://[", "no url", "", "https://h:99999/", "x" * 10_000):
        assert len(receiver_of(odd)) <= 210


def test_what_is_due_while_a_receiver_is_left_alone_shares_its_failure(local_store, clock):
    """The calendar goes on for every delivery: a dead receiver's runs are given up in the end."""

    async def scenario():
        settings = {"breaker_failures": 2, "breaker_seconds": 30, "breaker_max_seconds": 300}
        async with receiving(status(503)) as receiver, Post(local_store, clock, **settings) as post:
            run_ids = [await post.ended(receiver.url) for _ in range(30)]
            for _ in range(3000):
                await post.deliver()
                if not post.outbox.pending:
                    break
                clock.advance(200)
            return receiver, [post.attempts(run_id) for run_id in run_ids], clock.time - BEGIN

    receiver, attempts, took = asyncio.run(scenario())
    assert [len(made) for made in attempts] == [10] * 30
    assert all(made[-1].final for made in attempts)
    assert took < timedelta(hours=78)
    unsent = [a for made in attempts for a in made if a.status_code is None]
    assert len(receiver.requests) + len(unsent) == 300
    assert len(receiver.requests) < 90
    # Nothing is given up for the failures of others alone.
    assert all(made[-1].status_code == 503 for made in attempts)
    assert re.match(r"not sent: the receiver failed \d+ times in a row", unsent[0].error)
