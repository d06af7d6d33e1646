"""Processes that work on a store, some of them to be killed, and what they do.

A fork server that has imported the stores makes them: a process is there in milliseconds.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from random import Random
from typing import Any, NamedTuple

from runledger.store import open_store
from runledger.store.protocol import Append, Conflicted
from tests.store.samples import append, write

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


class Tally(NamedTuple):
    """What a writer was told: (position, stream, version) of every event acknowledged, and more."""

    acknowledged: list[tuple[int, str, int]]
    conflicts: int
    errors: list[str]


def append_at_random(pipe: Connection, url: str, rounds: int) -> None:
    """Append to streams of its own and to streams that others write too; send a Tally."""
    store = open_store(url)
    pipe.send("ready")
    seed = pipe.recv()
    random = Random(seed)
    streams = [f"own-{seed}-{n}" for n in range(8)] + [f"shared-{n}" for n in range(3)]
    versions = dict.fromkeys(streams, 0)
    tally = Tally([], 0, [])
    conflicts = 0
    with closing(store):
        for _ in range(rounds):
            appends = _some(random, versions)
            try:
                verdicts = store.append(appends)
            except Exception as e:
                tally.errors.append(repr(e))
                continue
            for writes, verdict in zip(appends, verdicts, strict=True):
                if isinstance(verdict, Conflicted):
                    conflicts += 1
                    versions[verdict.stream] = verdict.found
                    continue
                places = [
                    (write.stream, version)
                    for write in writes
                    for version, _ in enumerate(write.events, write.expected + 1)
                ]
                positions = range(verdict.first, verdict.last + 1)
                versions.update(places)
                tally.acknowledged.extend(
                    (position, *place) for position, place in zip(positions, places, strict=True)
                )
        pipe.send(tally._replace(conflicts=conflicts))


def _some(random: Random, versions: dict[str, int]) -> list[Append]:
    chosen = random.sample(list(versions), random.randint(1, 6))
    appends: list[Append] = []
    while chosen:
        taken = [chosen.pop() for _ in range(min(len(chosen), random.randint(1, 3)))]
        wrong = 5 if random.random() < 0.05 else 0
        appends.append(tuple(write(s, versions[s] + wrong, random.randint(1, 3)) for s in taken))
    return appends
