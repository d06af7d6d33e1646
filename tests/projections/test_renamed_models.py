"""The names of read models decide nothing: renamed at random, they make the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.read_models.catalog import discover, needed
from projections.read_models.order import in_order
from projections.read_models.read_model import ReadModel
from runledger.ids import derived_id
from runledger.run import commands as c
from tests.projections.histories import History, histories, play
from tests.projections.moves import Move
from tests.projections.reading import projected

pytestmark = pytest.mark.slow

MODELS = discover()


def renamed(models: Sequence[ReadModel], names: Mapping[str, str]) -> tuple[ReadModel, ...]:
    """Return read models of other names, in whose declarations the names are replaced alike."""
    made = []
    for model in models:
        declared = model.declaration.model_dump()
        declared["reads"] = [names[name] for name in declared["reads"]]
        for when, named in declared["delete"].items():
            declared["delete"][when] = [names[name] for name in named]
        declaration = type(model.declaration).model_validate(declared)
        made.append(replace(model, name=names[model.name], declaration=declaration))
    return in_order(made)


@settings(deadline=None)
@given(histories, st.permutations(range(len(MODELS))), st.sampled_from([3, 1_000]))
def test_names_decide_nothing(history: History, places: list[int], batch_events: int) -> None:
    names = {model.name: f"model_{place}" for model, place in zip(MODELS, places, strict=True)}
    found = projected(history, history.head, batch_events, renamed(MODELS, names))
    assert found == projected(history, history.head, batch_events)


def _deleting() -> History:
    """Return a history in which the newer run of an agent is deleted, with its steps."""
    commands = [
        (0, c.CreateRun(agent_id="agent-1")),
        (0, c.CompleteRun()),
        (2, c.CreateRun(agent_id="agent-1")),
        (2, c.RecordStep("step-1", {"prompt_tokens": 100})),
        (2, c.CompleteRun()),
        (2, c.DeleteRun()),
    ]
    return play([Move(run, command, timedelta(1), timedelta(0)) for run, command in commands])


def test_every_order_of_two_names_is_tried_with_a_deletion() -> None:
    # The law above is random; these are the two orders that the alphabet got right by chance.
    orders = [{m.name: m.name for m in MODELS} | {"usage_totals": "a_totals", "agents": "z_agents"}]
    orders += [{m.name: f"z_{m.name}" if m.name == "runs" else m.name for m in MODELS}]
    for names in orders:
        models = renamed(MODELS, names)
        log = _deleting()
        found = [projected(log, log.head, size, models) for size in (1, 4, log.head)]
        expected = projected(log, log.head, log.head)
        assert found == [expected] * 3
        assert expected["usage_totals"] == []
        assert [row["last_ended_run_id"] for row in expected["agents"]] == [derived_id("run", "0")]


@settings(deadline=None, max_examples=15)
@given(histories, st.sampled_from([model.name for model in MODELS]))
def test_a_read_model_needs_no_more_than_it_declares(history: History, name: str) -> None:
    models = needed([name], MODELS)
    found = projected(history, history.head, 5, models)
    whole = projected(history, history.head, 5)
    assert found == {table: whole[table] for model in models for table in model.keys}
