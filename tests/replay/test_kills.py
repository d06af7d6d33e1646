"""A process is killed at any point of a replay, a switch, publishing or archiving."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench.generate import Load, generate

HERE = Path(__file__).parent
ROUNDS = 25
"""Kills of each of the four."""


@pytest.mark.slow
def test_the_old_or_the_new_is_there_whole_after_a_kill(tmp_path: Path) -> None:
    generate(f"sqlite:///{tmp_path}/runs.db", 500, Load(concurrent_runs=20))
    seed = str(int.from_bytes(os.urandom(4)))
    worker = subprocess.run(
        [sys.executable, str(HERE / "kill_worker.py"), tmp_path, str(ROUNDS), seed],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert worker.returncode == 0, f"seed {seed}: {worker.stderr}"
    *rounds, end = map(json.loads, worker.stdout.splitlines())
    assert len(rounds) >= 4 * ROUNDS
    broken = [found for found in rounds if found["found"] is None or found["left"]]
    assert not broken, f"seed {seed}"
    assert {found["found"] for found in rounds if found["killed"] == "replay"} == {"old"}
    for kind in ("switch", "publish"):
        served = {found["found"] for found in rounds if found["killed"] == kind}
        assert served == {"old", "new"}, f"seed {seed}"
    assert set(end["resumed"]) == {"new"}, f"seed {seed}: a resumed replay equals a fresh one"
