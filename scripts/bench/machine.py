"""The machine that the figures belong to."""

import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any


def fdatasync_seconds(directory: str | Path, writes: int = 200) -> float:
    """Return the median time to flush 8 KiB appended to a file: the floor of one commit."""
    took = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(writes):
            os.write(file.fileno(), b"x" * 8192)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begin)
    return median(took)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def describe(directory: str | Path) -> dict[str, Any]:
    """Return cores, cpu, flush time in ms, load average, versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "fdatasync_ms": round(1000 * fdatasync_seconds(directory), 6),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        **{
            name: version(name)
            for name in ("duckdb", "eventsourcing", "psycopg", "pydantic", "adbc-driver-postgresql")
        },
    }
