"""The end of a session of a coding agent, as far as its file does not record it."""

from datetime import timedelta
from typing import Final

from runledger.run import commands as c

QUIET: Final = timedelta(hours=1)
"""After this time without a new line, the last turn of a session counts as over."""

_LOST: Final = "the session ended, or went on with another prompt, before a tool had returned"


def lost_tool() -> c.FailRun:
    """Return the end of a turn in which a tool was called and did not return."""
    return c.FailRun("error", "lost", _LOST)
