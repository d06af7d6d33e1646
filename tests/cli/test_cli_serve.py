"""`runledger serve`: works without an argument, says where it is, stops in time."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

pytestmark = pytest.mark.slow

RUNLEDGER = [sys.executable, "-m", "runledger.cli.main"]


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _line(out: IO[str]) -> str:
    return out.readline().strip()


@contextmanager
def _serving(
    folder: Path, *words: str, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server in a folder; give the process and its address."""
    port = _port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RUNLEDGER_")
    }
    process = subprocess.Popen(
        [*RUNLEDGER, "serve", "--port", str(port), *words],
        cwd=folder,
        env={**environment, "XDG_DATA_HOME": str(folder / "data"), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def test_without_an_argument_it_makes_the_users_own_ledger(tmp_path: Path) -> None:
    with _serving(tmp_path) as (process, address):
        assert process.stdout is not None
        said = _line(process.stdout)
        path = tmp_path / "data" / "runledger" / "runs.db"
        assert said.startswith(f"runledger serves sqlite:///{path} at http://localhost:")
        assert httpx.get(f"{address}/v1/runs/", trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        assert f"runledger: the ledger {path}" in err
        assert process.returncode in (0, -signal.SIGTERM)
        assert path.exists()


def test_the_ledger_of_the_folder_goes_first(tmp_path: Path) -> None:
    (tmp_path / "runs.db").touch()
    with _serving(tmp_path) as (process, _):
        assert process.stdout is not None
        assert _line(process.stdout).startswith(f"runledger serves sqlite:///{tmp_path}/runs.db at")


def test_a_second_one_on_the_same_read_models_ends_at_once(tmp_path: Path) -> None:
    with _serving(tmp_path) as (first, _):
        assert first.stdout is not None
        _line(first.stdout)
        with _serving(tmp_path) as (second, _):
            _, err = second.communicate(timeout=120)
            assert second.returncode == 1
            assert "holding the file" in err
        with _serving(tmp_path, "--writer") as (third, address):
            assert third.stdout is not None
            _line(third.stdout)
            answer = httpx.get(f"{address}/v1/runs/", trust_env=False)
            assert answer.status_code == 501


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with _serving(tmp_path, "--port", port) as (process, _):
            _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"port {port}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("keys", [False, True])
def test_other_machines_need_keys(tmp_path: Path, keys: bool) -> None:
    if keys:
        env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
        made = [*RUNLEDGER, "keys", "create", "a"]
        subprocess.run(made, cwd=tmp_path, env=env, check=True, capture_output=True)
    with _serving(tmp_path, "--host", "0.0.0.0") as (process, address):
        if keys:
            assert process.stdout is not None
            _line(process.stdout)
            assert httpx.get(f"{address}/v1/runs/", trust_env=False).status_code == 401
            return
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "keys" in err


def test_it_is_not_ready_from_the_signal_on_and_ends_with_followers(tmp_path: Path) -> None:
    with _serving(tmp_path) as (process, address):
        assert process.stdout is not None
        _line(process.stdout)
        assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
        with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
            run_id = _a_run(tmp_path)
            with client.stream("POST", f"/v1/runs/{run_id}/stream", json={}) as stream:
                lines = stream.iter_lines()
                process.send_signal(signal.SIGTERM)
                assert next(lines) == "event: error"
        process.communicate(timeout=120)


def _a_run(folder: Path) -> str:
    import asyncio

    from runledger import RunLedger

    async def make() -> str:
        store = f"sqlite:///{folder}/data/runledger/runs.db"
        async with RunLedger.open(store) as ledger:
            return (await ledger.create_run("agent-a")).run_id

    return asyncio.run(make())


def test_copies_are_published_for_other_processes(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    words = ("--publish", str(copies), "--publish-every", "100ms")
    with _serving(tmp_path, *words) as (process, address):
        assert process.stdout is not None
        _line(process.stdout)
        run_id = _a_run(tmp_path)
        deadline = time.monotonic() + 120
        found: list[str] = []
        while run_id not in found and time.monotonic() < deadline:
            if (copies / "read_models.duckdb").exists():
                words = ("--store", f"sqlite:///{tmp_path}/data/runledger/runs.db")
                done = subprocess.run(
                    [*RUNLEDGER, *words, "--read-models", str(copies), "runs", "list", "--json"],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                found = re.findall(r"run-[0-9a-f-]{36}", done.stdout)
            time.sleep(0.1)
        assert run_id in found
        assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
