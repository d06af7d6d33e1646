"""A process killed at any point of a replay or a switch leaves one generation served, whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench.generate import Load, generate

HERE = Path(__file__).parent
SWITCHES, REPLAYS = 70, 30


@pytest.mark.slow
def test_the_old_or_the_new_generation_is_served_whole_after_a_kill(tmp_path: Path) -> None:
    generate(f"sqlite:///{tmp_path}/runs.db", 1_200, Load(concurrent_runs=20))
    seed = str(int.from_bytes(os.urandom(4)))
    worker = subprocess.run(
        [sys.executable, str(HERE / "kill_worker.py"), tmp_path, str(SWITCHES), str(REPLAYS), seed],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert worker.returncode == 0, f"seed {seed}: {worker.stderr}"
    *rounds, end = map(json.loads, worker.stdout.splitlines())
    assert len(rounds) == SWITCHES + REPLAYS
    broken = [found for found in rounds if not found["whole"] or found["left"]]
    assert not broken, f"seed {seed}"
    assert {found["served"] for found in rounds} == {"old", "new"}, f"seed {seed}"
    assert end["resumed"], f"seed {seed}"
