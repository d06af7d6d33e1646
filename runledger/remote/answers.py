"""Answers to commands, as the server gives them."""

from typing import Final

from pydantic import BaseModel, TypeAdapter

from runledger.records import RunRecord, StepView
from runledger.run.parties import Agent


class StepId(BaseModel):
    """The id of a step, given or made."""

    step_id: str


class MessageIds(BaseModel):
    """The ids of recorded messages, in their order."""

    message_ids: list[str]


class RunIds(BaseModel):
    """The ids of the runs that something was done to."""

    run_ids: list[str]


class Cancelled(BaseModel):
    """The outcome of a cancel, and the run."""

    outcome: str
    run: RunRecord


STEP_ID: Final = TypeAdapter(StepId)
RUN_IDS: Final = TypeAdapter(RunIds)
MESSAGE_IDS: Final = TypeAdapter(MessageIds)
CANCELLED: Final = TypeAdapter(Cancelled)
ALL_CANCELLED: Final = TypeAdapter(list[Cancelled])
STEP: Final = TypeAdapter(StepView)
AGENT: Final = TypeAdapter(Agent)
