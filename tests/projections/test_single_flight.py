"""A flight is one thread's at a time; who has nothing left to do does not wait for one."""

import threading

import pytest

from projections.generations.single_flight import SingleFlight


def test_one_thread_at_a_time_has_it() -> None:
    flight = SingleFlight()
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with flight.exclusive():
                inside += 1
                most = max(most, inside)
                threading.Event().wait(0.0002)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_what_is_done_needs_no_turn() -> None:
    flight = SingleFlight()
    with flight.exclusive(), flight.unless_done(lambda: True) as mine:
        assert not mine
    with flight.unless_done(lambda: False) as mine:
        assert mine


def test_who_waits_goes_on_when_another_has_done_it() -> None:
    flight = SingleFlight()
    done, asked = threading.Event(), threading.Event()
    given: list[bool] = []

    def is_done() -> bool:
        asked.set()
        return done.is_set()

    def wait() -> None:
        with flight.unless_done(is_done) as mine:
            given.append(mine)

    waiting = threading.Thread(target=wait)
    with flight.exclusive():
        waiting.start()
        assert asked.wait(60)
        done.set()
    waiting.join()
    assert given == [False]


def test_a_turn_that_fails_is_over() -> None:
    flight = SingleFlight()
    with pytest.raises(ValueError, match="failed"), flight.exclusive():
        raise ValueError("failed")
    with flight.unless_done(lambda: False) as mine:
        assert mine
