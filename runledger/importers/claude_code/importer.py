"""Imports sessions of Claude Code: everything new since the last import, once."""

from collections.abc import Sequence, Set
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed
from runledger.importers.claude_code.run import (
    AGENT_ID,
    SOURCE,
    commands,
    is_over,
    is_run,
    not_understood,
    run_id,
)
from runledger.importers.claude_code.session import Session, TurnReader, sessions
from runledger.importers.claude_code.turn import Turn
from runledger.importers.first_source import TranscriptClaims
from runledger.importers.foreign import last_part
from runledger.importers.json_lines import files_in
from runledger.importers.recorder import FoundRun, RunRecorder
from runledger.importers.report import Advance, ImportReport
from runledger.run import Actor
from runledger.store import Store


class TurnPlace(NamedTuple):
    """The offset of a turn's lines in the session's file, in bytes, and the state of the turn."""

    offset: int
    started_at: datetime
    last_at: datetime
    over: bool


class ClaudeCodeImport:
    """Imports of sessions into one ledger; `report` is updated while they run.

    `by_folder` makes the last part of a session's working directory the project of its runs. A call
    that a second turn repeats (a copy of a history with other ids) is counted in the first turn
    that this object has imported.
    """

    def __init__(
        self, store: Store, handler: CommandHandler, actor: Actor, *, by_folder: bool = False
    ) -> None:
        self.report = ImportReport("runs")
        self._store = store
        self._handler = handler
        self._actor = actor
        self._by_folder = by_folder
        self._counted: dict[bytes, str] = {}
        self._claims = TranscriptClaims(store, actor.organization, SOURCE)

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import the sessions of files and folders; refused content is in the report.

        Raises:
            OnlyRead: if nothing can be recorded; checked before anything is read.
        """
        found = []
        for path in paths:
            try:
                found += files_in([path])
            except ImportFailed as e:
                self.report.refuse(str(path), e)
        # All together: a sub-agent's file may be given separately from its session's.
        for session in sessions(found):
            await self.session(session, 0, advance)
        return self.report

    async def session(
        self,
        session: Session,
        offset: int = 0,
        advance: Advance = lambda _: None,
        *,
        written_at: datetime | None = None,
    ) -> list[TurnPlace]:
        """Import a session from the offset of a turn on; return the places of its turns.

        `written_at` is the time of the last write to its files, if that shows how long it has been
        inactive.
        """
        self._store.expect_writable()
        turns: list[TurnPlace] = []
        async with RunRecorder(self._store, self._handler, self._actor, self.report) as recorder:
            try:
                for turn in TurnReader(session, self.report, advance).turns(offset):
                    turn.written_at = written_at
                    over = is_over(turn, datetime.now(UTC))
                    turns.append(TurnPlace(turn.offset, turn.started_at, turn.last_at, over))
                    if not await self._claims.has(turn.session_id, turn.place, self.report):
                        continue
                    received = await self._received(turn)
                    # A copy of a turn that was received has nothing of its own.
                    if is_run(turn) and not (received and received == turn.calls.keys()):
                        await recorder.submit(turn.place, self._found(turn, received))
            except ImportFailed as e:
                self.report.refuse(str(session.path), e)
        return turns

    async def _received(self, turn: Turn) -> set[str]:
        """Return the message ids of calls that were received as log events."""
        asked = {call.request_id: one for one, call in turn.calls.items() if call.request_id}
        return {asked[request_id] for request_id in await self._claims.received(asked)}

    def _found(self, turn: Turn, received: Set[str]) -> FoundRun:
        organization, now = self._actor.organization, datetime.now(UTC)
        own = run_id(turn, organization)
        elsewhere = received | {
            message_id
            for message_id in turn.calls
            if self._counted.setdefault(sha256(message_id.encode()).digest()[:12], own) != own
        }
        self.report.not_understood.update(not_understood(turn))
        project = last_part(turn.facts.get("cwd")) if self._by_folder else None
        return FoundRun(
            own,
            AGENT_ID,
            "Claude Code",
            lambda: commands(turn, organization, now, elsewhere, project),
        )
