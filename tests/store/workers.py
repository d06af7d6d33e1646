"""Processes that work on a store, some of them to be killed, and what they do.

A fork server that has imported the stores makes them: a process is there in milliseconds.
"""

import multiprocessing
import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from random import Random
from typing import Any, NamedTuple

from runledger.store import open_store
from runledger.store.postgres.address import parse
from runledger.store.postgres.statements import queries
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
        """Return the next thing that the process says; fail where it says nothing for minutes."""
        assert self.pipe.poll(300), f"{self.process} says nothing"
        return self.pipe.recv()

    def rest(self) -> list[Any]:
        """Return all that it says until its end of the pipe is closed, by its end or its death."""
        said = []
        try:
            while True:
                said.append(self.told())
        except (EOFError, OSError):  # OSError: a message that its sender could not finish
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


def lead(pipe: Connection, url: str, seconds: float = 10.0) -> None:
    """Hold a lease for ever; say whether it is still held as often as asked."""
    store = open_store(url)
    with store.leadership("callbacks", seconds) as leads:
        pipe.send(leads)
        while pipe.recv():
            pipe.send(store.leads("callbacks"))


def lead_and_fork(pipe: Connection, url: str, seconds: float) -> None:
    """Hold a lease for ever; send the id of a forked child that does nothing for ever."""
    with open_store(url).leadership("callbacks", seconds):
        child = os.fork()
        if not child:
            signal.pause()
        pipe.send(child)
        pipe.recv()


class Tally(NamedTuple):
    """The answers to a writer: (position, stream, version) of every event acknowledged, and more."""

    acknowledged: list[tuple[int, str, int]]
    conflicts: int
    errors: list[str]


def append_at_random(pipe: Connection, url: str, rounds: int, insert: str | None) -> None:
    """Append to streams of its own and to streams that others write too; send a Tally.

    `insert` is what PostgreSQL executes for appends that need no look at their streams, if it is
    not the store's own.
    """
    if insert is not None:
        queries(parse(url).schema)["insert"] = insert.encode()
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


def append_for_ever(pipe: Connection, url: str, stream: str) -> None:
    """Append to a stream of its own and to a shared one; say what was acknowledged."""
    store = open_store(url)
    own = shared = 0
    while True:
        (verdict,) = store.append([(write(stream, own, 2), write("shared", shared))])
        if isinstance(verdict, Conflicted):
            shared = verdict.found
            continue
        own, shared = own + 2, shared + 1
        pipe.send([(verdict.first, stream, own - 1), (verdict.first + 1, stream, own)])
        pipe.send([(verdict.last, "shared", shared)])


def hold_the_write_lock(pipe: Connection, path: str) -> None:
    """Hold SQLite's write lock until told to let go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        pipe.send("held")
        pipe.recv()
        db.execute("COMMIT")


def append_until_files_may_not_grow(pipe: Connection, url: str, limit: int) -> None:
    """Append until the operating system refuses; lift the limit; append once more."""
    store = open_store(url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    version = 0
    try:
        while True:
            store.append([append("a", version, 10)])
            version += 10
    except Exception as e:
        pipe.send((version, f"{type(e).__name__}: {e}"))
    pipe.send(len(store.read_stream("a")))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    pipe.send(store.append([append("a", version, 10)])[0])
