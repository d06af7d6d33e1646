"""The checker of the campaign finds each kind of fault, and nothing in a log that is right."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.torture.checker import (
    callback_faults,
    doubles,
    folded,
    log_faults,
    losses,
    read_model_faults,
)
from scripts.torture.claims import Claims, ClaimsFile, Deed, read_claims
from scripts.torture.databases import Row


def row(position: int, stream: str, version: int, topic: str, **facts: Any) -> Row:
    return Row(position, stream, version, topic, json.dumps(facts).encode())


LOG = [
    row(1, "run-a", 1, "run.created", callback_url="https://x/"),
    row(2, "run-b", 1, "run.created"),
    row(3, "run-a", 2, "run.step_recorded", step_id="step-1"),
    row(4, "run-a", 3, "run.completed"),
]
DEEDS = {
    Deed("run-a", "created"),
    Deed("run-b", "created"),
    Deed("run-a", "step-1"),
    Deed("run-a", "completed"),
}
CLAIMS = Claims(DEEDS, DEEDS)
ROWS = [
    {"run_id": "run-a", "status": "completed", "steps": 1},
    {"run_id": "run-b", "status": "created", "steps": 0},
]


def test_nothing_is_found_if_all_is_right() -> None:
    fold = folded(LOG)
    assert log_faults(LOG, [1, 2, 3, 4]) == []
    assert losses(CLAIMS, fold) == doubles(CLAIMS, fold) == []
    assert read_model_faults(ROWS, fold) == []
    assert callback_faults({"run-a": 2}, fold) == []


def test_what_is_not_known_to_be_recorded_may_be_there_or_not() -> None:
    claims = Claims(DEEDS | {Deed("run-b", "step-2")}, DEEDS - {Deed("run-a", "completed")})
    assert losses(claims, folded(LOG)) == doubles(claims, folded(LOG)) == []


def test_a_loss_and_a_double_are_found() -> None:
    assert losses(CLAIMS, folded(LOG[:2] + LOG[3:])) != []
    twice = [*LOG, row(5, "run-a", 4, "run.step_recorded", step_id="step-1")]
    assert len(doubles(CLAIMS, folded(twice))) == 1
    assert len(doubles(Claims(DEEDS - {Deed("run-b", "created")}, set()), folded(LOG))) == 1


def test_a_gap_a_passed_and_a_vanished_event_are_found() -> None:
    assert log_faults(LOG, [1, 2, 4]) == ["position 3: passed by the follower"]
    assert log_faults(LOG, [1, 2, 3, 4, 5]) == ["position 5: seen, and gone"]
    assert log_faults(LOG[:2] + LOG[3:], [1, 2, 4]) == ["stream run-a: versions [1, 3]"]


def test_read_models_that_lack_invent_or_misstate_a_run_are_found() -> None:
    fold = folded(LOG)
    assert len(read_model_faults(ROWS[:1], fold)) == 1
    assert len(read_model_faults([*ROWS, {**ROWS[0], "run_id": "run-c"}], fold)) == 1
    assert len(read_model_faults([{**ROWS[0], "steps": 2}, ROWS[1]], fold)) == 1


def test_a_callback_that_never_came_or_came_too_early_is_found() -> None:
    assert callback_faults({}, folded(LOG)) == ["run run-a: ended, its callback never came"]
    early = callback_faults(Counter(["run-a"]), folded(LOG[:3]))
    assert early == ["run run-a: a callback came before its end"]


def test_claims_survive_a_writer_that_was_killed_in_the_middle_of_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a.claims"
    claims = ClaimsFile(file)
    claims.begin(Deed("run-a", "created"))
    claims.acknowledge(Deed("run-a", "created"))
    with file.open("ab") as half:
        half.write(b'["begun", "run-')
    assert read_claims([file]) == Claims({Deed("run-a", "created")}, {Deed("run-a", "created")})
