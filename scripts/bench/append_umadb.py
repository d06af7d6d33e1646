"""How do 64 tasks on PostgreSQL compare with UmaDB, an event store of its own, where installed?"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from runledger.store import open_store
from scripts.bench import appends
from scripts.bench.bench import Bench
from scripts.bench.library import STATE, TOPIC
from scripts.bench.rounds import alternate
from scripts.bench.row import Figure, Row

CLIENTS: Final = 64


@contextmanager
def server(path: Path) -> Iterator[str]:
    """Run UmaDB's server; give its address once it answers."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    start = "from umadb.umadb_server_cli import main; main()"
    arguments = ("--listen", address, "--db-path", str(path))
    with subprocess.Popen(
        [sys.executable, "-c", start, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            _wait(address, process)
            yield f"http://{address}"
        finally:
            process.terminate()


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    host, _, port = address.partition(":")
    while process.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("UmaDB's server ended")


def _write(umadb: Any, url: str, until: float) -> int:
    client, stream, written = umadb.Client(url), str(uuid4()), 0
    query = umadb.Query(items=[umadb.QueryItem(types=[], tags=[stream])])
    position = 0
    while time.perf_counter() < until:
        # What makes it an append to a stream: refused if the stream has events that we do not know.
        condition = umadb.AppendCondition(query, position)
        event = umadb.Event(event_type=TOPIC, data=STATE, tags=[stream])
        position = client.append([event], condition)
        written += 1
    return written


def rate(url: str, seconds: float) -> float:
    """Return events/s of 64 threads, each with a client and a stream of its own."""
    umadb = import_module("umadb")
    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        written = sum(threads.map(partial(_write, umadb, url), [begin + seconds] * CLIENTS))
    return written / (time.perf_counter() - begin)


def rows(bench: Bench) -> Iterator[Row]:
    """Yield our rate beside UmaDB's, or ours alone."""
    figure, unit, seconds = (
        "PostgreSQL, 64 tasks, 1 event per append",
        "events/s",
        bench.size.seconds,
    )
    with closing(open_store(bench.schema())) as store:
        ours = partial(appends.append_rate, store, CLIENTS, seconds)
        if find_spec("umadb") is None:
            yield Row(figure, ours(), unit, note="UmaDB is not installed: pip install umadb")
            return
        with server(bench.path(".umadb")) as url:
            rounds = min(3, bench.size.rounds)
            measured = alternate(rounds, {"ours": ours, "umadb": lambda: rate(url, seconds)})
    peer = Figure(f"UmaDB, {CLIENTS} threads", measured.median("umadb"))
    ratio = measured.ratio("ours", "umadb")
    yield Row(figure, measured.median("ours"), unit, peer, None, ratio)
