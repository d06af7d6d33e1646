"""The keywords that an editor completes are the fields that the ledger takes."""

from projections.queries.run_filter import RunConditions, RunFilter, RunFilters
from projections.queries.step_filter import StepFilter, StepFilters
from runledger.events import StepRecorded
from runledger.run.step_facts import STEP_FACTS


def test_every_filter_of_runs_is_a_keyword() -> None:
    assert RunFilters.__annotations__.keys() == RunFilter.model_fields.keys()
    page = {"order_by", "ascending", "limit", "after", "before", "costs"}
    assert RunConditions.__annotations__.keys() == RunFilter.model_fields.keys() - page


def test_every_filter_of_steps_is_a_keyword() -> None:
    assert StepFilters.__annotations__.keys() == StepFilter.model_fields.keys()


def test_every_fact_of_a_step_is_a_field_of_its_event() -> None:
    assert StepRecorded.model_fields.keys() >= STEP_FACTS
