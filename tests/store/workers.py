"""Processes that work on a store, some of them to be killed, and what they do.

A fork server that has imported the stores makes them: a process is there in milliseconds.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from runledger.store import open_store
from tests.store.samples import append

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    # pytest, because every child first runs the main module of its parent.
    [
        "pytest",
        "tests.store.workers",
        "runledger.store.postgres.store",
        "runledger.store.sqlite.store",
    ]
)


@contextmanager
def working(target: Any, *arguments: Any, count: int = 1) -> Iterator[list["Worker"]]:
    """Run `target(pipe, *arguments)` in processes of their own; kill what is left at the end."""
    workers = [Worker(target, arguments) for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()


class Worker:
    """One process and our end of its pipe."""

    def __init__(self, target: Any, arguments: tuple[Any, ...]) -> None:
        self.pipe: Connection
        self.pipe, theirs = _FORKS.Pipe()
        self.process: BaseProcess = _FORKS.Process(target=target, args=(theirs, *arguments))
        self.process.start()
        theirs.close()

    def told(self) -> Any:
        """Return the next thing that the process says; fail where it says nothing for a minute."""
        assert self.pipe.poll(60), f"{self.process} says nothing"
        return self.pipe.recv()

    def rest(self) -> list[Any]:
        """Return all that it says until its end of the pipe is closed, by its end or its death."""
        said = []
        try:
            while True:
                said.append(self.told())
        except (EOFError, ConnectionResetError):
            return said

    def kill(self) -> None:
        """Kill -9, and wait for it."""
        self.process.kill()
        self.process.join()


def open_and_append(pipe: Connection, url: str) -> None:
    """Open the store when told to, and append to a stream of its own."""
    pipe.send("ready")
    pipe.recv()
    try:
        with closing(open_store(url)) as store:
            pipe.send(store.append([append(f"run-{os.getpid()}", 0)])[0])
    except Exception as e:
        pipe.send(repr(e))


def lead(pipe: Connection, url: str) -> None:
    """Hold a lock for ever."""
    with open_store(url).leadership("callbacks") as leads:
        pipe.send(leads)
        pipe.recv()
