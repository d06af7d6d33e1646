"""The pure model of a run: its state, its transitions and its decisions. No clock, no I/O."""

from runledger.run.decisions import decide
from runledger.run.envelope import Actor, Envelope
from runledger.run.state import Run, evolve
from runledger.run.transitions import STATUS_OF, TRANSITIONS, RunStatus, status_of

__all__ = [
    "STATUS_OF",
    "TRANSITIONS",
    "Actor",
    "Envelope",
    "Run",
    "RunStatus",
    "decide",
    "evolve",
    "status_of",
]
