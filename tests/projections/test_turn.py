"""A turn is one thread's at a time; who has nothing left to do does not wait for one."""

import threading

import pytest

from projections.generations.single_flight import Turn


def test_one_thread_at_a_time_has_it() -> None:
    turn = Turn()
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turn.alone():
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
    turn = Turn()
    with turn.alone(), turn.unless(lambda: True) as mine:
        assert not mine
    with turn.unless(lambda: False) as mine:
        assert mine


def test_who_waits_goes_on_when_another_has_done_it() -> None:
    turn = Turn()
    done, asked = threading.Event(), threading.Event()
    given: list[bool] = []

    def is_done() -> bool:
        asked.set()
        return done.is_set()

    def wait() -> None:
        with turn.unless(is_done) as mine:
            given.append(mine)

    waiting = threading.Thread(target=wait)
    with turn.alone():
        waiting.start()
        assert asked.wait(60)
        done.set()
    waiting.join()
    assert given == [False]


def test_a_turn_that_fails_is_over() -> None:
    turn = Turn()
    with pytest.raises(ValueError, match="failed"), turn.alone():
        raise ValueError("failed")
    with turn.unless(lambda: False) as mine:
        assert mine
