"""What runs are grouped by: agents, conversations, tools and models."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from runledger.web.address import Address


class Counts(NamedTuple):
    """A column of counts: its title, its key, and the status of runs that it leads to."""

    title: str
    key: str
    status: str | None = None


class Group(NamedTuple):
    """What a page groups by, its columns, and the filter of the list that a row leads to.

    `durations` is the statement that counts how long its own work took, calls or steps; None if
    that is the runs'. `order` says which ones are listed if there are too many.
    """

    name: str
    title: str
    one: str
    counts: Sequence[Counts]
    tokens: bool
    filter: str | None
    timed: str = "runs"
    durations: str | None = None
    order: str = "most frequent"

    def one_address(self, value: str, as_of: str | None) -> Address:
        """Return the address of the page of one of them."""
        # In the query, since a name may end like a file: `read.json` is a good name for a tool.
        return Address.of(self.name, "one").having(name=value, as_of=as_of)

    def runs(self, value: str | None, as_of: str | None) -> Address | None:
        """Return the address of the list of its runs; None if no filter leaves just these."""
        if self.filter is None or value is None:
            return None
        return Address.of("runs").having(**{self.filter: value, "as_of": as_of})


_RUNS: Final = Counts("Runs", "runs")
_FAILED: Final = Counts("Failed", "failed", "failed")
_OF_RUNS: Final = (
    _RUNS,
    _FAILED,
    Counts("Cancelled", "cancelled", "cancelled"),
    Counts("Open", "open"),
)
AGENTS: Final = Group("agents", "Agents", "Agent", _OF_RUNS, True, "agent_id")
CONVERSATIONS: Final = Group(
    "conversations",
    "Conversations",
    "Conversation",
    _OF_RUNS,
    True,
    "conversation_id",
    order="latest",
)
TOOLS: Final = Group(
    "tools",
    "Tools",
    "Tool",
    (
        _RUNS,
        Counts("Calls", "calls"),
        Counts("Errors", "failed"),
        Counts("Denied", "denied"),
        Counts("Open", "open"),
    ),
    False,
    "tools_used",
    "calls",
    "call_durations",
)
MODELS: Final = Group(
    "models",
    "Models",
    "Model",
    (_RUNS, Counts("Steps", "steps"), Counts("Failed", "failed")),
    True,
    None,
    "steps",
    "step_durations",
)
GROUPS: Final = (AGENTS, CONVERSATIONS, TOOLS, MODELS)
