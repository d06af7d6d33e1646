"""The recorder: what a run has is not recorded again, what contradicts it is told."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bringing import in_ledger

from runledger import RunLedger
from runledger.ids import derived_id
from runledger.importers.recorder import DIGEST, FoundRun, RunRecorder
from runledger.importers.report import ImportReport
from runledger.messages import Message
from runledger.run import Actor
from runledger.run import commands as c

Open = Callable[[], RunLedger]
RUN, STEP, MESSAGE = (derived_id(kind, "x") for kind in ("run", "step", "message"))
AT = datetime(2026, 1, 5, tzinfo=UTC)


def said(text: str) -> c.RecordMessages:
    return c.RecordMessages(
        [Message.model_validate({"id": MESSAGE, "role": "user", "content": text})]
    )


def used(tokens: int) -> c.RecordStep:
    return c.RecordStep(STEP, {"model": "m", "prompt_tokens": tokens})


def found(*commands: c.Command, digest: str | None = None) -> FoundRun:
    metadata = {DIGEST: digest} if digest else {}
    timed = [(AT, one) for one in (c.CreateRun("agent-a", metadata=metadata), *commands)]
    return FoundRun(RUN, "agent-a", None, lambda: timed, digest)


def record(open_ledger: Open, *runs: FoundRun, actor: Actor | None = None) -> ImportReport:
    report = ImportReport("runs")

    async def recorded(ledger: RunLedger) -> Any:
        who = actor or Actor()
        async with RunRecorder(ledger.store, ledger.handler, who, report) as recorder:
            for number, run in enumerate(runs):
                await recorder.submit(f"run {number}", run)

    in_ledger(open_ledger, recorded)
    return report


def test_what_is_new_is_added(open_ledger: Open) -> None:
    report = record(
        open_ledger, found(said("a")), found(said("a"), used(5)), found(said("a"), used(5))
    )
    assert (report.recorded, report.extended, report.unchanged, report.refused) == (1, 1, 1, 0)


def test_other_counts_of_a_recorded_step_are_told(open_ledger: Open) -> None:
    report = record(open_ledger, found(used(5)), found(used(6)))
    assert [refusal.place for refusal in report.refusals] == ["run 1"]
    assert "prompt_tokens: expected 5, as recorded, found 6" in report.refusals[0].reason


@pytest.mark.parametrize(("again", "recorded"), [("a", 1), ("b", 0)])
def test_a_message_that_occurs_twice_counts_once_or_is_refused(
    open_ledger: Open, again: str, recorded: int
) -> None:
    report = record(open_ledger, found(said("a"), said(again)))
    assert (report.recorded, report.refused) == (recorded, 1 - recorded)
    assert all("recorded before with other content" in r.reason for r in report.refusals)


def test_a_source_that_never_changes_is_refused_if_it_did(open_ledger: Open) -> None:
    report = record(
        open_ledger,
        found(said("a"), digest="1"),
        found(said("a"), digest="1"),
        found(said("b"), digest="2"),
    )
    assert (report.recorded, report.unchanged, report.refused) == (1, 1, 1)


def test_an_end_that_is_there_is_not_recorded_again(open_ledger: Open) -> None:
    report = record(
        open_ledger,
        found(used(5), c.FailRun("error", "lost")),
        found(used(5), said("late"), c.CompleteRun("end_turn")),
    )
    assert (report.recorded, report.extended, report.refusals) == (1, 1, [])


def test_a_run_of_another_organization_is_refused(open_ledger: Open) -> None:
    assert record(open_ledger, found()).recorded == 1
    assert record(open_ledger, found(), actor=Actor("org-b")).refused == 1
