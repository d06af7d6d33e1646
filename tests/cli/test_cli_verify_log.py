"""`runledger verify --log` names the events that a disk has altered."""

import sqlite3
from contextlib import closing
from pathlib import Path

from command_line import Command

from runledger.store import open_store
from runledger.store.keeper import keep
from tests.store.samples import append


def test_a_changed_digit_is_told_by_verify_and_doctor(runledger: Command, tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    with closing(open_store(f"sqlite:///{file}")) as store:
        store.append([append("a", 0, 600)])
        keep(store, 600)
    sound = runledger("verify", "--log")
    assert (sound.code, sound.out) == (0, "the events up to position 512 are what was recorded\n")
    with closing(sqlite3.connect(file)) as db:
        db.execute("DROP TRIGGER ledger_events_no_update")
        db.execute("UPDATE ledger_events SET state = CAST('{}' AS BLOB) WHERE notification_id = 77")
        db.commit()
    found = runledger("verify", "--log")
    assert found.code == 1
    assert "position 77" in found.out
    assert runledger("verify", "--log", "--json").json["faults"][0]["position"] == 77
    assert "position 77" in runledger("doctor").out
    assert runledger("verify", "--log", "--all").code == 2
