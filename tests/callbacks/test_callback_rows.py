"""The read model of callbacks: what is owed, as the run itself folds it, whatever the batches."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.read_models.catalog import discover, needed
from runledger.events import RunCancelled, RunCompleted, RunFailed
from runledger.run import Actor, Envelope, commands, decide, evolve
from runledger.store import arrow
from runledger.store.codec import encode
from tests.projections.reading import projected

pytestmark = pytest.mark.slow

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
MODELS = needed(["callbacks"], discover())
RUN = "run-00000000-0000-4000-8000-0000000000{:02}"
RUNS = 10


class Log:
    """The events of some runs, as a reader of the log."""

    def __init__(self):
        self.rows, self.runs, self.attempts, self.ended_at = [], {}, {}, {}

    def execute(self, number, command):
        run_id = RUN.format(number)
        at = BEGIN + timedelta(seconds=len(self.rows))
        envelope = Envelope(Actor(), at, at)
        for event in decide(self.runs.get(run_id), command, envelope):
            run = self.runs.get(run_id)
            version = (run.version if run else 0) + 1
            self.runs[run_id] = evolve(run, run_id, version, event)
            position = len(self.rows) + 1
            self.rows.append((position, run_id, version, event.topic, encode(event).facts))
            if event.topic == "run.callback_attempted":
                self.attempts.setdefault(run_id, []).append(event)
            if isinstance(event, RunCompleted | RunFailed | RunCancelled):
                self.ended_at[run_id] = event.occurred_at

    def read(self, after, upto, limit):
        rows = self.rows[after : min(upto, after + limit)]
        if not rows:
            return None
        position, stream, version, topic, facts = zip(*rows, strict=True)
        return arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(facts),
        )

    def close(self):
        pass


def attempt(log, number, *, old, delivered, final, waits):
    owed = log.runs[RUN.format(number)].delivery
    facts = {
        "webhook_id": "run-of-an-earlier-end-3" if old or not owed else owed.webhook_id,
        "attempt": owed.attempts + 1 if owed else 1,
        "url": "https://example.com/",
        "status_code": 200 if delivered else None,
        "error": None if delivered else "reset",
        "delivered": delivered,
        "final": final,
        "next_attempt_at": BEGIN + timedelta(days=1) if waits else None,
    }
    log.execute(number, commands.RecordCallbackAttempt(facts))


moves = st.lists(
    st.tuples(
        st.integers(0, RUNS - 1),
        st.sampled_from(
            ["attempt", "attempt", "attempt", "request", "request", "cancel", "delete"]
        ),
        st.fixed_dictionaries(
            {
                "old": st.sampled_from([False, False, True]),
                "delivered": st.booleans(),
                "final": st.booleans(),
                "waits": st.booleans(),
            }
        ),
    ),
    min_size=20,
    max_size=60,
)


@settings(deadline=None, max_examples=6)
@given(moves, st.sampled_from([3, 1000]))
def test_the_rows_are_what_the_runs_say_is_owed(given_moves, batch_events):
    log = Log()
    for number in range(RUNS):
        url = "https://example.com/" if number else None
        log.execute(number, commands.CreateRun("agent-a", callback_url=url))
        log.execute(number, commands.CompleteRun("requires_approval"))
    for number, move, facts in given_moves:
        run = log.runs[RUN.format(number)]
        if run.deleted:
            continue
        if move == "attempt":
            attempt(log, number, **facts)
        elif move == "request" and run.delivery is not None:
            log.execute(number, commands.RequestCallback())
        elif move == "cancel":
            log.execute(number, commands.CancelRun())
        elif move == "delete":
            log.execute(number, commands.DeleteRun())
    found = projected(log, len(log.rows), batch_events, MODELS)
    owed = {run_id: run for run_id, run in log.runs.items() if run.delivery and not run.deleted}
    rows = {row["run_id"]: row for row in found["callbacks"]}
    assert rows.keys() == owed.keys()
    for run_id, run in owed.items():
        row, delivery = rows[run_id], run.delivery
        assert row["status"] == delivery.status
        assert row["run_status"] == run.status.value
        assert row["ended_at"] == log.ended_at[run_id]
        for name in ("webhook_id", "attempts", "redelivery", "next_attempt_at"):
            assert row[name] == getattr(delivery, name), name
        ours = [e for e in log.attempts.get(run_id, ()) if e.webhook_id == delivery.webhook_id]
        last = ours[-1] if ours else None
        assert row["attempted_at"] == (last and last.occurred_at)
        assert (row["status_code"], row["error"]) == (
            (last.status_code, last.error) if last else (None, None)
        )
    made = {run_id: log.attempts.get(run_id, []) for run_id, run in log.runs.items()}
    kept = [e for run_id, events in made.items() if not log.runs[run_id].deleted for e in events]
    assert len(found["callback_attempts"]) == len(kept)
