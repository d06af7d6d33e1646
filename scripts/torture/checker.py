"""The rules that hold for the log, its readers, the read models and the callbacks."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from scripts.torture.claims import Claims, Deed
from scripts.torture.databases import Row

_SHOWN = 5


class Fold(NamedTuple):
    """The content of the log: how often it has every deed, and the steps of each run."""

    deeds: Counter[Deed]
    steps: Counter[str]
    statuses: dict[str, str]
    callbacks: set[str]


def folded(log: Iterable[Row]) -> Fold:
    """Fold the raw log."""
    fold = Fold(Counter(), Counter(), {}, set())
    for row in log:
        facts: dict[str, Any] = json.loads(row.facts)
        if row.topic == "run.created":
            fold.deeds[Deed(row.stream, "created")] += 1
            fold.statuses[row.stream] = "created"
            if facts.get("callback_url"):
                fold.callbacks.add(row.stream)
        elif row.topic == "run.step_recorded":
            fold.deeds[Deed(row.stream, facts["step_id"])] += 1
            fold.steps[row.stream] += 1
            if fold.statuses[row.stream] == "created":
                fold.statuses[row.stream] = "running"
        elif row.topic == "run.completed":
            fold.deeds[Deed(row.stream, "completed")] += 1
            fold.statuses[row.stream] = "completed"
    return fold


def log_faults(log: Sequence[Row], seen: Sequence[int]) -> list[str]:
    """Return what is wrong with the order of the log, and with what a follower saw of it."""
    found: list[str] = []
    versions: dict[str, list[int]] = defaultdict(list)
    for row in log:
        versions[row.stream].append(row.version)
    for stream, those in versions.items():
        if those != list(range(1, len(those) + 1)):
            found.append(f"stream {stream}: versions {those[:20]}")
    passed = {row.position for row in log} - set(seen)
    found += [f"position {position}: passed by the follower" for position in sorted(passed)]
    vanished = set(seen) - {row.position for row in log}
    found += [f"position {position}: seen, and gone" for position in sorted(vanished)]
    return found


def losses(claims: Claims, fold: Fold) -> list[str]:
    """Return what was acknowledged and is not there."""
    return [f"{deed}: acknowledged, not in the log" for deed in claims.acknowledged - {*fold.deeds}]


def doubles(claims: Claims, fold: Fold) -> list[str]:
    """Return what is there more than once, or was never begun."""
    found = [f"{deed}: {n} times in the log" for deed, n in fold.deeds.items() if n > 1]
    return found + [f"{deed}: nothing began it" for deed in {*fold.deeds} - claims.begun]


def read_model_faults(runs: Iterable[Mapping[str, Any]], fold: Fold) -> list[str]:
    """Return where the rows (run_id, status, steps) differ from the fold of the log."""
    there = {row["run_id"]: (row["status"], row["steps"]) for row in runs}
    expected = {run: (status, fold.steps[run]) for run, status in fold.statuses.items()}
    return [
        f"run {run}: expected {expected.get(run)}, the read models have {there.get(run)}"
        for run in {*there, *expected}
        if there.get(run) != expected.get(run)
    ]


def callback_faults(answered: Mapping[str, int], fold: Fold) -> list[str]:
    """Return which ended runs were not told, and which were told without having ended."""
    ended = {run for run in fold.callbacks if fold.statuses[run] == "completed"}
    found = [f"run {run}: ended, its callback never came" for run in ended - answered.keys()]
    return found + [f"run {run}: a callback came before its end" for run in {*answered} - ended]


def shown(found: Sequence[str]) -> str:
    """Return the first few of what was found, one a line."""
    more = [f"… and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "\n".join(f"  {line}" for line in [*found[:_SHOWN], *more])
