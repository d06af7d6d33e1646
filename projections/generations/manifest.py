"""The manifest of a generation, and the state machine of generations.

`docs/replay.md` is drawn from this table.
"""

from datetime import datetime
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from runledger.errors import ReadModelsError

State = Literal["building", "candidate", "live", "kept"]
NONE: Final = "none"
"""The state of a number without a generation: before it is built, and after it is dropped."""


class Step(NamedTuple):
    """`allowed`: the states in which it may happen; `to`: the state that it leads to."""

    name: str
    allowed: tuple[str, ...]
    to: str


BEGIN: Final = Step("a replay begins, or goes on", (NONE, "building", "candidate"), "building")
COMPLETE: Final = Step("the replay reaches the end of the log", ("building",), "candidate")
COPY: Final = Step("a copy of live is replayed in part", (NONE,), "candidate")
CREATE: Final = Step("the first question finds no read models", (NONE,), "live")
SWITCH: Final = Step("a switch to it", ("candidate", "kept"), "live")
FOUND: Final = Step("its file is found in the place of live", ("building",), "live")
FOLLOW: Final = Step("it follows the log", ("live",), "live")
REPLACE: Final = Step("a switch to another one", ("live",), "kept")
DROP: Final = Step("it is dropped", ("building", "candidate", "kept"), NONE)

STEPS: Final = (BEGIN, COMPLETE, COPY, CREATE, SWITCH, FOUND, FOLLOW, REPLACE, DROP)
"""Everything that may happen to a generation; nothing else changes its state."""


class GenerationManifest(BaseModel):
    """The description of a generation that is readable without opening it; the file itself is
    authoritative."""

    model_config = ConfigDict(frozen=True)
    number: int
    state: State
    position: int
    built_at: datetime
    built_from: str
    built_by: str
    events_digest: str
    models: dict[str, str]
    rows: dict[str, int]
    seconds: float | None = None
    size: int | None = None

    @property
    def partial(self) -> bool:
        """Whether it is a copy in which some runs were projected again."""
        return self.built_from.startswith("generation ")


def expect_step(number: int, before: str, to: str) -> None:
    """Raise ReadModelsError if no step leads a generation from one state to another."""
    if not any(before in step.allowed and step.to == to for step in STEPS):
        allowed = sorted({state for step in STEPS if step.to == to for state in step.allowed})
        raise ReadModelsError(
            f"generation {number}: expected one that is {' or '.join(allowed)} to become {to}, "
            f"found one that is {before}"
        )
