"""Laws of parking: what is left out is exactly what must be, and after a mend nothing is."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.fold import parking
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.run import commands as c
from tests.archive.spoiling import Log, Spoiled, faults, spoiled
from tests.projections.histories import Author, histories
from tests.projections.moves import Move
from tests.projections.oracle import Tables
from tests.projections.reading import contents, projected

pytestmark = pytest.mark.slow

PARKED = ("parked_runs", "parked_events")
spoiled_histories = histories.flatmap(
    lambda history: faults(history).map(lambda chosen: spoiled(history, chosen))
)


def _others(tables: Tables) -> Tables:
    return {table: rows for table, rows in tables.items() if table not in PARKED}


@settings(deadline=None)
@given(spoiled_histories, st.sampled_from([1, 3, 1000]))
def test_only_the_poison_and_what_follows_on_its_stream_is_left_out(
    given_log: Spoiled, batch_events: int
) -> None:
    parked = given_log.parked()
    made = projected(given_log.log, given_log.log.head, batch_events)
    assert {row["stream"]: row["position"] for row in made["parked_runs"]} == {
        stream: positions[0] for stream, positions in parked.items()
    }
    left_out = {row["position"] for row in made["parked_events"]}
    assert left_out == {position for positions in parked.values() for position in positions}
    # The poison of runs that were deleted later is parked no more, but was never applied.
    clean = given_log.log.without(left_out | given_log.poison)
    if clean.rows:
        assert _others(made) == _others(projected(clean, clean.head, 1000))


@settings(deadline=None)
@given(spoiled_histories, st.data())
def test_batch_boundaries_do_not_matter_to_what_is_parked(
    given_log: Spoiled, data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(1, given_log.log.head)))
    generation = Generation(":memory:")
    engine = Engine(generation, given_log.log)
    for cut in sorted({*cuts, given_log.log.head}):
        assert engine.catch_up(cut) == cut
    made = contents(generation)
    generation.close()
    assert made == projected(given_log.log, given_log.log.head, 1000)


@settings(deadline=None)
@given(spoiled_histories, st.sampled_from([1, 3, 1000]), st.data())
def test_after_a_mend_a_retry_makes_what_a_fresh_replay_makes(
    given_log: Spoiled, batch_events: int, data: st.DataObject
) -> None:
    mended = data.draw(st.sets(st.sampled_from(sorted(given_log.poison))))
    middle = data.draw(st.integers(1, given_log.log.head))
    sound = {row[0]: row for row in given_log.sound.rows}
    later = Log(tuple(sound[r[0]] if r[0] in mended else r for r in given_log.log.rows))
    generation = Generation(":memory:")
    Engine(generation, given_log.log, batch_events=batch_events).catch_up(middle)
    engine = Engine(generation, later, batch_events=batch_events)
    retried = engine.retry()
    parked = {row.stream for row in parking.parked(generation.cursor())}
    assert set(retried.applied) == set(given_log.parked(middle)) - parked
    assert {row.stream for row in retried.parked} == parked
    engine.catch_up(later.head)
    made = contents(generation)
    generation.close()
    fresh = projected(later, later.head, 1000)
    # Reasons tell positions and words of whoever failed first; all else is equal.
    assert made == fresh


@pytest.mark.parametrize("batch_events", [1, 2, 3, 1000])
def test_what_cannot_be_applied_after_a_deletion_is_parked_wherever_batches_end(
    batch_events: int,
) -> None:
    author = Author()
    for command in (c.CreateRun("agent-a"), c.RecordHeartbeat(), c.DeleteRun()):
        author.play(Move(0, command, timedelta(seconds=1), timedelta()))
    *before, beat, deletion = author.history.rows
    position, stream, version, *_ = deletion
    beyond = (position + 1, stream, version + 1, "run.teleported", b"{}")
    log = Log((*before, (*beat[:3], "run.teleported", beat[4]), deletion, beyond))
    made = projected(log, log.head, batch_events)
    assert [(row["stream"], row["position"]) for row in made["parked_runs"]] == [
        (stream, position + 1)
    ]
    assert [row["position"] for row in made["parked_events"]] == [position + 1]
    assert made["runs"] == []
