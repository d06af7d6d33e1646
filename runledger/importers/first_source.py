"""Names of calls that two sources describe, by which the second is noticed.

A coding agent writes its sessions to files, and sends the usage of the same calls as log events.
The first source that reports a session has it, and the other is refused by name: see
SpanTable.claim.
"""

import asyncio
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from runledger.importers.report import ImportReport
from runledger.store import Store

TRANSCRIPTS: Final = "transcripts"
LOG_EVENTS: Final = "log events"


def session_name(program: str, session_id: str) -> str:
    """Return the name of a session; `program` is such as `claude-code`."""
    return _digest(program, "session", session_id)


def request_name(program: str, request_id: str) -> str:
    """Return the name of a call by the id that the model's provider gave it."""
    return _digest(program, "request", request_id)


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


class TranscriptClaims:
    """Claims the sessions of one program for its transcripts; each refused one is reported once."""

    def __init__(self, store: Store, organization: str, program: str) -> None:
        self._spans = store.spans
        self._organization = organization
        self._program = program
        self._outcomes: dict[str, bool] = {}

    async def has(self, session_id: str, place: str, report: ImportReport) -> bool:
        """Claim a session; return whether it may be recorded, and report if it may not."""
        if session_id not in self._outcomes:
            others = await asyncio.to_thread(
                self._spans.claim,
                self._organization,
                TRANSCRIPTS,
                [session_name(self._program, session_id)],
            )
            self._outcomes[session_id] = not others
            if others:
                report.refuse(
                    place,
                    f"{self._program} session {session_id}: its calls were received as log events "
                    "before, and would count twice; the runs made of those are kept",
                )
        return self._outcomes[session_id]

    async def received(self, request_ids: Iterable[str]) -> set[str]:
        """Return those of these calls that were received as log events, of any session."""
        names = {request_name(self._program, one): one for one in request_ids}
        if not names:
            return set()
        found = await asyncio.to_thread(
            self._spans.told_by_others, self._organization, TRANSCRIPTS, list(names)
        )
        return {names[name] for name in found}
