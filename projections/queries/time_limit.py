"""A limit on the time and the memory of a query whose conditions a user wrote."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import duckdb

from runledger.errors import InvalidExpression

SECONDS: Final = 30.0
"""Far above the time that any expression within the other limits takes on millions of runs."""


@contextmanager
def limited(db: Any, seconds: float = SECONDS) -> Iterator[None]:
    """Interrupt what a connection executes in the block if it takes too long.

    Raises:
        InvalidExpression: if the time is over, or if the query takes more memory than there is.
    """
    lock = threading.Lock()
    over = late = False

    def stop() -> None:
        nonlocal late
        # Under the lock, so that no later query of the connection is interrupted.
        with lock:
            if not over:
                late = True
                db.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as e:
        if not late:
            raise
        raise InvalidExpression(
            f"expected an answer within {seconds:g} s, found none; add a condition that leaves "
            f"fewer runs, such as a time"
        ) from e
    except duckdb.OutOfMemoryException as e:
        raise InvalidExpression(
            "the answer takes more memory than the read models have; add a condition that leaves "
            "fewer runs, such as a time"
        ) from e
    finally:
        with lock:
            over = True
        timer.cancel()
