"""An operator's orders while another process, a real one, holds the read models."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from replaying import cache_reads, contents

from projections.fold.generation import Generation
from projections.generations.generations import Generations
from projections.operator.holder_socket import connect, listen, socket_path
from projections.operator.requests import RequestServer, request
from projections.replay.replay import build
from runledger import Operator, RunLedger
from runledger.errors import NotFound, ReadModelsError, ReadModelsLocked
from runledger.store import Store

HERE = Path(__file__).parent


class Holder:
    """The other process."""

    def __init__(self, url: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "holder.py"), url, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first = self._line()

    def _line(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def cache_reads(self) -> int:
        """Ask it what it counts."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()


@pytest.fixture
def holder(url: str, read_models: Path, fix) -> Iterator[Holder]:
    """A process that holds read models made by the SQL with the bug, mended since."""
    held = Holder(url, read_models)
    fix()
    yield held
    held.process.kill()
    held.process.wait()


def test_compare_and_switch_are_done_by_the_process_that_holds_the_file(
    holder: Holder, url: str, read_models: Path, tmp_path: Path
) -> None:
    right = sum(cache_reads(tmp_path / "runs.db")[0].values())
    assert holder.first == 2 * right

    async def operate() -> None:
        with pytest.raises(ReadModelsLocked):
            await RunLedger.open(url, read_models).__aenter__()
        async with Operator.open(url, read_models) as operator:
            out = tmp_path / "diff.parquet"
            dry = await operator.replay(out=out, max_changed="1%")
            assert dry.comparison is not None
            assert [r.partition(":")[0] for r in dry.exceeded] == ["runs", "usage_totals"]
            assert out.exists()
            assert dry.comparison.explanations
            assert holder.cache_reads() == 2 * right
            assert [p.kind for p in (await operator.verify(sample=20)).problems] == []
            part = await operator.replay(selection=_of_failed())
            assert part.radius is not None
            assert part.radius.runs > 50
            done = await operator.replay(switch=True)
            assert done.live is not None
            assert holder.cache_reads() == right
            await operator.switch_generation(1)
            assert holder.cache_reads() == 2 * right
            with pytest.raises(NotFound):
                await operator.generation(99)
            with pytest.raises(ReadModelsError, match="generation with id 99 not found"):
                await operator.switch_generation(99)

    asyncio.run(operate())


@pytest.mark.slow
def test_a_second_ledger_in_one_process_is_refused_and_an_operators_is_served(
    tmp_path: Path, read_models: Path
) -> None:
    url = f"sqlite:///{tmp_path}/small.db"

    async def operate() -> None:
        async with RunLedger.open(url, read_models) as ledger:
            await ledger.create_run(agent_id="agent-a")
            # DuckDB would give both one database, and each would project every event into it.
            with pytest.raises(ReadModelsLocked, match="found another ledger or a replay"):
                await RunLedger.open(url, read_models).__aenter__()
            async with Operator.open(url, read_models) as operator:
                assert (await operator.replay(switch=True)).live is not None
                assert (await operator.verify()).clean
            assert len(await ledger.list_runs()) == 1
        async with RunLedger.open(url, read_models) as ledger:
            assert len(await ledger.list_runs()) == 1

    asyncio.run(operate())


def test_what_is_read_in_this_process_is_not_written_beside(tmp_path: Path) -> None:
    file = tmp_path / "runs.duckdb"
    Generation(file).close()
    reading = Generation(file, read_only=True)
    Generation(file, read_only=True).close()
    with pytest.raises(ReadModelsLocked, match="found a reader of it"):
        Generation(file)
    reading.close()
    writing = Generation(file)
    with pytest.raises(ReadModelsLocked, match="nothing else in this process"):
        Generation(file, read_only=True)
    writing.close()
    Generation(file).close()


def _of_failed():
    from projections.replay.selection import selection

    return selection(events_of_type=["run.failed"])


def test_a_replay_beside_a_held_file_equals_one_without(
    holder: Holder, store: Store, read_models: Path, tmp_path: Path
) -> None:
    beside = Generations(read_models).file(build(store, read_models).number)
    alone = Generations(tmp_path / "alone.duckdb")
    assert contents(beside) == contents(alone.file(build(store, alone.path).number))


def test_a_holder_that_dies_over_a_request_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "runs.duckdb"
    program = f"""
import time
from pathlib import Path
from projections.operator.holder_socket import connect, listen, socket_path
from projections.operator.requests import RequestServer
def serve(verb, arguments):
    print("asked", flush=True)
    time.sleep(60)
server = RequestServer(Path({str(path)!r}), serve)
print("serving", flush=True)
time.sleep(60)
"""
    server = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "serving\n"
    failed: list[Exception] = []

    def ask() -> None:
        try:
            request(path, "switch", number=2)
        except ReadModelsError as e:
            failed.append(e)

    asking = threading.Thread(target=ask)
    asking.start()
    assert server.stdout.readline() == "asked\n"
    server.send_signal(signal.SIGKILL)
    server.wait()
    asking.join()
    assert "ended while it was asked to switch" in str(failed[0])


def test_what_is_no_request_is_told_and_survived(tmp_path: Path) -> None:
    path = tmp_path / "runs.duckdb"
    with pytest.raises(ReadModelsLocked):
        request(path, "switch", patience=0, number=2)
    served: list[str] = []
    server = RequestServer(path, lambda verb, _: served.append(verb) or "done")
    for nonsense in (b"{\n", b"[]\n", b'{"verb": "switch"}\n', b""):
        with connect(path) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
    assert request(path, "verify") == "done"
    server.close()
    assert served == ["verify"]
    assert list(tmp_path.iterdir()) == []


def test_the_socket_is_the_user_s_alone_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "runs.duckdb"
    place = socket_path(path)
    listen(path).close()  # As a process leaves it that was killed.
    with pytest.raises(ReadModelsLocked, match="does not serve requests"):
        request(path, "verify", patience=0)
    server = RequestServer(path, lambda verb, _: verb)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert request(path, "verify") == "verify"
    server.close()
    assert not place.exists()


def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    server = RequestServer(folder / "runs.duckdb", lambda verb, _: verb)
    assert request(folder / "runs.duckdb", "verify") == "verify"
    server.close()
    assert list(folder.iterdir()) == []


def test_a_folder_that_takes_no_socket_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RequestServer(tmp_path / "missing" / "runs.duckdb", lambda verb, _: verb)
    assert "other processes cannot ask this one" in caplog.text
    server.close()


def test_many_are_answered_at_once_and_those_being_served_are_finished(tmp_path: Path) -> None:
    path = tmp_path / "runs.duckdb"
    begun = threading.Barrier(9)

    def serve(verb: str, arguments) -> str:
        begun.wait(120)
        time.sleep(0.1)
        return str(arguments["number"])

    server = RequestServer(path, serve)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(request, path, "verify", number=number) for number in range(8)]
        begun.wait(120)
        server.close()
        assert [one.result() for one in asked] == [str(number) for number in range(8)]


def test_a_bug_in_the_other_process_is_told_and_survived(tmp_path: Path) -> None:
    path = tmp_path / "runs.duckdb"
    server = RequestServer(path, lambda verb, _: str(1 / 0) if verb == "switch" else "fine")
    with pytest.raises(ReadModelsError, match="ZeroDivisionError"):
        request(path, "switch")
    assert request(path, "verify") == "fine"
    server.close()
