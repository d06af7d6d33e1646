"""The handles of an agent loop: a run and a step as context managers that record their end."""

from runledger.handles.commands import RunCommands, RunFacts, StepArguments
from runledger.handles.refusals import OnError
from runledger.handles.run_handle import RunHandle
from runledger.handles.step_handle import StepHandle

__all__ = ["OnError", "RunCommands", "RunFacts", "RunHandle", "StepArguments", "StepHandle"]
