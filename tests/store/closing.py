"""A store that is closed under threads that use it."""

from collections.abc import Callable, Sequence
from itertools import count
from threading import Barrier, Thread
from time import monotonic

from runledger.store import Store


def close_under(store: Store, uses: Sequence[Callable[[int], object]]) -> list[BaseException]:
    """Close a store while a thread each goes on with a use, told how often; return what ends it."""
    ends: list[BaseException] = []
    busy = Barrier(len(uses) + 1, timeout=60)

    def use(what: Callable[[int], object]) -> None:
        try:
            what(0)
            busy.wait()
            # Bounded by time: a cheap use makes a million rounds while `close` waits for its turn.
            end = monotonic() + 60
            for n in count(1):
                assert monotonic() < end, "the store is not closed"
                what(n)
        except BaseException as e:
            ends.append(e)

    threads = [Thread(target=use, args=(what,)) for what in uses]
    for thread in threads:
        thread.start()
    busy.wait()
    store.close()
    for thread in threads:
        thread.join()
    return ends
